/** The commands: they refuse invalid input, and leave no process behind. */

import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { getText, post } from "./http.ts";
import { command, deployment, temporaryDir, until } from "./processes.ts";

const state = temporaryDir();
const FREE = ["--node-port", "0", "--broker-port", "0", "--client-port", "0"];
const SCENARIO = "scripts/scenarios/leader-one-way.json";
const small = ["1", "1", "1", ...FREE, "--state", state.path];

afterAll(() => state.remove());

describe("refusals are one line and exit code 2", () => {
  it.each([
    ["an even number of nodes", "deployment.ts", ["4", "4", "3"], /not 4/],
    ["a missing argument", "deployment.ts", ["5", "4"], /usage/],
    ["a word for a number", "deployment.ts", ["5", "four", "3"], /<brokers>/],
    ["no brokers", "deployment.ts", ["5", "0", "3"], /brokers/],
    ["an unknown option", "start.ts", ["--frsh"], /--frsh/],
    ["sizes for a start", "start.ts", ["5", "4", "3"], /npm run deployment/],
    ["no count", "send-requests.ts", [], /usage/],
    ["an argument too many", "send-requests.ts", ["10", "9090", "9090", "8081", "x"], /usage/],
    ["an option that dev does not have", "dev.ts", ["--port", "1"], /--port/],
    ["a bad list of ports", "send-requests.ts", ["10", "9090", "a,b"], /a,b/],
    ["a port out of range", "send-requests.ts", ["10", "99999"], /from 1 to 65535/],
    ["a list with such a port", "send-requests.ts", ["10", "9090", "9090,99999"], /from 1 to 65535/],
    ["a host with a scheme", "send-requests.ts", ["1", "--host", "http://localhost"], /without scheme/],
    ["a port that another command has", "start.ts", ["--node-port", "1"], /--node-port/],
    ["ports beyond the last one", "deployment.ts", ["3", "1", "1", "--node-port", "65534"], /at most 65533/],
    ["an address of another machine", "start.ts", ["--host", "192.0.2.1"], /no address of this machine/],
    ["a folder without a name", "start.ts", ["--state", ""], /--state must name a folder/],
    [
      "a folder with other files",
      "start.ts",
      ["--console-port", "0", "--fresh", "--state", "docs"],
      /other files/,
    ],
    ["a value that is missing", "chaos.ts", ["--url", "--seed", "1"], /--url needs a value/],
    ["no scenario", "chaos.ts", ["--url", "localhost:8788"], /scripts\/scenarios/],
    ["a URL of another scheme", "chaos.ts", [SCENARIO, "--url", "ftp://localhost"], /http:\/\/localhost/],
    ["a URL that is none", "postman.ts", ["--node", "localhost:x"], /http:\/\/localhost/],
    ["an unknown option of sim", "../sim/node/cli.ts", ["--sed", "1"], /--sed/],
    ["a value that search lacks", "../sim/node/search/main.ts", ["--txns"], /--txns needs a value/],
    ["an option that mutants lack", "../sim/node/run-mutants.ts", ["--x"], /--x/],
    ["a number that seeded-bugs does not take", "../sim/node/seeded-bugs.ts", ["--first", "x"], /--first/],
  ])("%s", async (_, script, args, reason) => {
    const { code, stderr, stdout } = await command(script, args);
    expect({ code, stdout, lines: stderr.trimEnd().split("\n").length }).toEqual({
      code: 2,
      stdout: "",
      lines: 1,
    });
    expect(stderr).toMatch(reason);
  });

  it("a busy port", async () => {
    const squatter = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => squatter.once("listening", resolve));
    const { port } = squatter.address() as AddressInfo;
    const { code, stderr } = await command("deployment.ts", [...small, "--broker-port", String(port)]);
    squatter.close();
    expect(code).toBe(2);
    expect(stderr).toBe(`deployment: port ${port} is busy; --broker-port N takes another, 0 any free one\n`);
  });
});

describe("--help", () => {
  it.each([
    ...["start.ts", "deployment.ts", "send-requests.ts", "chaos.ts", "dev.ts", "postman.ts", "deploy.ts"],
    ...[
      "../bench/run.ts",
      "../bench/profile.ts",
      "../bench/growth/run.ts",
      "../bench/zookeeper/run.ts",
      "../sim/node/search/main.ts",
      "../test/soak/soak.ts",
    ],
    ...["../test/nemesis/run.ts", "../sim/node/cli.ts", "../sim/node/seeded-bugs.ts"],
    "../sim/node/run-mutants.ts",
  ])("of %s", async (script) => {
    const { code, stderr, stdout } = await command(script, ["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^usage: npm .*\n/);
    expect(stdout).toContain("--help");
  });
});

describe("postman", () => {
  it("reports in one line that nothing answers", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => closed.once("listening", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const { code, stderr, stdout } = await command("postman.ts", ["--node", `127.0.0.1:${port}`]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(
      `postman: nothing answers at http://127.0.0.1:${port}; npm run deployment -- 5 4 3 starts nodes and brokers\n`,
    );
  });
});

describe("sim", () => {
  it("ends a trace with the run's result", async () => {
    const args = ["--seed", "7", "--chaos-ms", "1000", "--ops", "50", "--trace"];
    const { code, stderr, stdout } = await command("../sim/node/cli.ts", args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^seed 7 at commit [\s\S]*\nseed 7: no rule was broken, and .*\n$/);
  });
});

describe("state", () => {
  it("of another size is not used", async () => {
    const running = await deployment(small);
    await running.end("SIGTERM");
    const { code, stderr } = await command("deployment.ts", ["3", ...small.slice(1)]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `deployment: ${state.path} holds an ensemble of 1 node; --fresh discards it\n`,
    });
  });

  it("keeps killed nodes dead, and the command reports it", async () => {
    const args = ["3", "2", "1", ...FREE, "--state", `${state.path}/dead`];
    const first = await deployment(args);
    await post(`${first.urls.api}/v1/faults/nodes/2/kill`);
    await post(`${first.urls.api}/v1/faults/brokers/1/kill`);
    await first.end("SIGTERM");
    const second = await deployment(args);
    const [alive, dead] = await Promise.all(second.urls.nodes.map((url) => fetch(`${url}/`)));
    expect([alive?.status, dead?.status]).toEqual([200, 503]);
    const { stderr } = await second.end("SIGTERM");
    expect(stderr).toContain(`warning: ${second.urls.nodes[1]}/`);
    expect(stderr).toContain(`warning: ${second.urls.brokers[1]}/`);
    expect(stderr).toMatch(/: node 2 is down: it was killed/);
    expect(stderr).not.toContain("{");
  });

  it("without a quorum of nodes the command reports at once which are down, and how to revive them", async () => {
    const args = ["3", "1", "1", ...FREE, "--state", `${state.path}/majority`];
    const first = await deployment(args);
    for (const sid of [1, 3]) await post(`${first.urls.api}/v1/faults/nodes/${sid}/kill`);
    await first.end("SIGTERM");
    const second = await deployment(args);
    await post(`${second.urls.api}/v1/faults/heal`);
    await until(
      () => getText(`${second.urls.api}/readyz`),
      ({ status }) => status === 200,
      "healing does not bring the quorum back",
    );
    const { stderr } = await second.end("SIGTERM");
    expect(stderr).toContain(
      "warning: nodes 1 and 3 are still killed or paused from an earlier run: 1 of 3 nodes are up, 2 are needed",
    );
    expect(stderr).toContain(`curl -X POST ${second.urls.clients[0]}/api/v1/faults/heal`);
  });

  it("lists the addresses in readable form", async () => {
    const running = await deployment(small);
    const { stderr } = await running.end("SIGTERM");
    for (const [name, urls] of [
      ["page", running.urls.clients],
      ["nodes", running.urls.nodes],
      ["brokers", running.urls.brokers],
    ] as const)
      expect(stderr).toMatch(new RegExp(`^ {2}${name} +${urls[0]}$`, "m"));
  });
});

describe("nothing outlives a deployment", () => {
  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("after %s", async (signal) => {
    const running = await deployment(small);
    expect((await running.end(signal)).code).toBe(0);
  });

  it("after kill -9 of only the command", async () => {
    const running = await deployment(small);
    expect((await running.end("SIGKILL")).code).toBeNull();
  });

  it("a second run of the same state is refused while the first runs", async () => {
    const running = await deployment(small);
    const { code, stderr } = await command("deployment.ts", small);
    await running.end("SIGTERM");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        `deployment: ${state.path} is in use by process ${running.pid}; ` +
        `end it, or if it is another program, delete ${state.path}/lock.json\n`,
    });
  });

  it("a lock whose pid now belongs to another process does not count", async () => {
    const running = await deployment(small);
    const lock = JSON.parse(readFileSync(`${state.path}/lock.json`, "utf8")) as { runtime: object };
    await running.end("SIGKILL");
    const reused = { ...lock, pid: process.pid, runtime: { ...lock.runtime, pid: process.ppid } };
    writeFileSync(`${state.path}/lock.json`, JSON.stringify(reused));
    const again = await deployment(small);
    expect((await again.end("SIGTERM")).code).toBe(0);
  });
});
