/**
 * `npm run chaos` against a running deployment: it runs the scenario of the file, heals, and reports whether the
 * ensemble is whole.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/local/build.ts";
import { waiting } from "../../scripts/local/listen.ts";
import { ensembleOf, getJson, isSettled } from "./http.ts";
import { command, deployment, type Running, temporaryDir, until } from "./processes.ts";

interface Faults {
  readonly nodes: readonly { readonly up: boolean; readonly faults: readonly unknown[] }[];
}

const state = temporaryDir();
let running: Running;

beforeAll(async () => {
  const ports = ["--node-port", "0", "--broker-port", "0", "--client-port", "0"];
  running = await deployment(["3", "1", "1", ...ports, "--state", `${state.path}/state`]);
});
afterAll(async () => {
  await running.end("SIGTERM");
  state.remove();
});

function file(name: string, content: unknown): string {
  const path = join(state.path, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const chaos = (...args: string[]) => command("chaos.ts", [...args, "--url", running.urls.api]);
const noFault = ({ nodes }: Faults): boolean => nodes.every(({ up, faults }) => up && faults.length === 0);

describe("npm run chaos", () => {
  it("carries a scenario out, heals, and ends with 0 when all are whole", async () => {
    const before = await ensembleOf(running.urls.api);
    const scenario = file("good.json", {
      name: "a bit of everything",
      seed: 3,
      steps: [
        { fault: "crash", target: "leader" },
        { after: 300, fault: "isolate", target: "leader", params: { direction: "out" }, for: 1_500 },
        { after: 300, fault: "pause", target: "follower" },
        { after: 300, fault: "kill", target: "broker 0" },
        { after: 300, fault: "crash", target: "all" },
        { after: 0, fault: "ring", for: 300 },
        { after: 300, fault: "kill", target: "minority" },
      ],
    });
    const { code, stdout, stderr } = await chaos(scenario);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trim().split("\n");
    expect(lines[0]).toMatch(/ {2}a bit of everything: 7 steps on 3 nodes at http.*, seed 3$/);
    expect(stdout).toMatch(/crash leader → \d/);
    expect(stdout).toMatch(/isolate leader → \d \{"direction":"out"\} for 1500 ms/);
    expect(stdout).toMatch(/kill broker 0\n/);
    expect(stdout).toMatch(/crash all → 1, 2, 3/);
    expect(lines.at(-2)).toMatch(/healed$/);
    expect(lines.at(-1)).toMatch(/whole: node \d leads, all 3 at 0x/);
    expect(noFault(await getJson<Faults>(`${running.urls.api}/v1/faults`))).toBe(true);
    const after = await ensembleOf(running.urls.api);
    expect(isSettled(after)).toBe(true);
    expect(after.nodes.every(({ boot }, at) => (boot ?? 0) > (before.nodes[at]?.boot ?? 0))).toBe(true);
  });

  /** A run as a process of its own. */
  function start(scenario: string, api = running.urls.api) {
    const child = spawn(process.execPath, [join(ROOT, "scripts/chaos.ts"), scenario, "--url", api]);
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    return {
      interrupt: (signal: NodeJS.Signals) => child.kill(signal),
      code: new Promise<number | null>((resolve) => child.once("close", resolve)),
      text: () => text,
      says: (words: RegExp) =>
        until(
          () => text,
          (seen) => words.test(seen),
          `no ${words}`,
        ),
    };
  }
  const faults = () => getJson<Faults>(`${running.urls.api}/v1/faults`);
  const forLong = (name: string) =>
    file(`${name}.json`, {
      name,
      steps: [
        { fault: "kill", target: 2 },
        { after: 600_000, fault: "crash", target: 1 },
      ],
    });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("heals on %s and ends with %i", async (signal, expected) => {
    const run = start(forLong(`ended by ${signal}`));
    await until(faults, ({ nodes }) => nodes[1]?.up === false, "node 2 lives");
    run.interrupt(signal);
    // npm passes a Ctrl-C on that has come already: no second one
    run.interrupt(signal);
    expect(await run.code, run.text()).toBe(expected);
    expect(run.text()).toMatch(/healed\n.*interrupted\n$/);
    await until(faults, noFault, "something is broken");
  });

  /** Passes requests on, but those that `holds` says: they are never answered. */
  async function proxy(holds: (method: string, path: string) => boolean) {
    const held: string[] = [];
    const server = createServer(
      waiting(async (request, response) => {
        const { method = "", url = "" } = request;
        if (holds(method, url)) {
          held.push(`${method} ${url}`);
          return;
        }
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const json = chunks.length > 0;
        const answer = await fetch(`${running.urls.api}${url}`, {
          method,
          ...(json && { body: Buffer.concat(chunks), headers: { "content-type": "application/json" } }),
        });
        response.writeHead(answer.status).end(await answer.text());
      }),
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${port}`,
      held: () =>
        until(
          () => held.length,
          (count) => count > 0,
          "nothing was asked",
        ),
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    };
  }

  it("ends at the first Ctrl-C while it waits for the ensemble to be whole", async () => {
    let healed = false;
    const silent = await proxy((method, path) => {
      if (path === "/v1/faults/heal") healed = true;
      else return healed && method === "GET";
      return false;
    });
    const scenario = file("settling.json", { name: "settling", steps: [{ fault: "crash", target: 1 }] });
    const run = start(scenario, silent.url);
    await silent.held();
    run.interrupt("SIGINT");
    expect(await run.code, run.text()).toBe(130);
    expect(run.text()).toMatch(/healed\n.*interrupted\n$/);
    silent.close();
  });

  it("ends at once at the second Ctrl-C, and reports that it has not healed", async () => {
    const silent = await proxy((_, path) => path === "/v1/faults/heal");
    const run = start(forLong("two Ctrl-C"), silent.url);
    await run.says(/kill 2/);
    run.interrupt("SIGINT");
    await silent.held();
    // one that comes at once is the same one, so it is pressed until it counts
    const again = setInterval(() => run.interrupt("SIGINT"), 50);
    expect(await run.code, run.text()).toBe(130);
    clearInterval(again);
    expect(run.text()).toMatch(/ended before everything was healed\n$/);
    silent.close();
    const response = await fetch(`${running.urls.api}/v1/faults/heal`, { method: "POST" });
    expect(response.status).toBe(200);
  });

  it("reports why a step is refused, and continues", async () => {
    const scenario = file("refused.json", {
      name: "refused",
      steps: [
        { fault: "wipe", target: "all" },
        { fault: "crash", target: 9 },
        { fault: "crash", target: 1 },
      ],
    });
    const { code, stdout } = await chaos(scenario);
    expect(code, stdout).toBe(0);
    expect(stdout).toMatch(/wipe all → 1, 2, 3: .* answered 409: only/);
    expect(stdout).toMatch(/crash 9 → 9: .* answered 404: the ensemble has the nodes 1 to 3/);
  });

  it("breaks the named ensemble", async () => {
    const response = await fetch(`${running.urls.api}/v1/ensembles/other`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: '{"size":1}',
    });
    expect(response.status).toBe(201);
    const scenario = file("other.json", { name: "other", steps: [{ fault: "crash", target: "leader" }] });
    const { code, stdout } = await chaos(scenario, "--ensemble", "other", "--seed", "5");
    expect(code, stdout).toBe(0);
    expect(stdout).toMatch(/1 steps on 1 nodes at .*\/e\/other, seed 5/);
  });

  it("finds the API below the page's host, and loses nothing of a load", async () => {
    const scenario = file("load.json", {
      name: "load",
      steps: [
        { after: 300, fault: "crash", target: "all" },
        { after: 300, fault: "kill", target: "leader", for: 1000 },
      ],
    });
    const { code, stdout } = await command("chaos.ts", [
      scenario,
      "--load",
      "3",
      "--url",
      running.urls.clients[0] ?? "",
    ]);
    expect(code).toBe(0);
    const line =
      /load: (\d+) writes and (\d+) records acknowledged, none lost, none doubled; \d+ of unknown/.exec(
        stdout,
      );
    expect(Number(line?.[1])).toBeGreaterThan(0);
    expect(Number(line?.[2])).toBeGreaterThan(0);
    const { children } = await getJson<{ children: string[] }>(
      `${running.urls.api}/v1/znodes/?view=children`,
    );
    expect(children.filter((name) => name.startsWith("chaos-"))).toEqual([]);
  });

  const GIVE_ONE = "give one scenario file, for example npm run chaos -- scripts/scenarios/everything.json";
  it.each([
    [[], GIVE_ONE],
    [["a.json", "b.json"], `${GIVE_ONE}; "b.json" is one too many`],
    [["missing.json"], "missing.json cannot be read: ENOENT"],
    [["--fast"], "unknown option '--fast'; --help lists what there is"],
    [["GOOD", "--seed", "x"], '--seed must be a number from 0 to 2147483647, not "x"'],
    [["GOOD", "--ensemble", "A/b"], '--ensemble must be a name of a-z, 0-9 and -, not "A/b"'],
  ])("%j is one line and exit code 2", async (args, message) => {
    const good = file("crash.json", { name: "crash", steps: [{ fault: "crash", target: 1 }] });
    const { code, stdout, stderr } = await chaos(...args.map((arg) => (arg === "GOOD" ? good : arg)));
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: `chaos: ${message}\n` });
  });

  it("a bad file is one line and exit code 2; no server is exit code 1; --help is help", async () => {
    const bad = file("bad.json", { name: "bad", steps: [{ fault: "drop", target: 1 }] });
    const refused = await chaos(bad);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^chaos: .*bad\.json: steps\.0\.params\.probability: [^\n]*\n$/);
    const good = file("crash.json", { name: "crash", steps: [{ fault: "crash", target: 1 }] });
    const nobody = await command("chaos.ts", [good, "--url", "http://127.0.0.1:9"]);
    expect([nobody.code, nobody.stderr.split("\n").length]).toEqual([1, 2]);
    const help = await command("chaos.ts", ["--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toMatch(/^usage: npm run chaos/);
  });
});
