import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { random } from "../../core/prng.ts";
import { formatHistory, type History } from "../../sim/history/history.ts";
import { ClientMemory, Workload } from "../../sim/history/workload.ts";
import { FakeEnsemble } from "./fake-ensemble.ts";

describe("the workload", () => {
  it("is the same for the same random numbers", () => {
    const asks = (): string => {
      const workload = new Workload({ random: random(5) });
      return JSON.stringify(Array.from({ length: 200 }, (_, i) => workload.next(i % 5)));
    };
    expect(asks()).toBe(asks());
  });

  it("sends every kind of request, some of each succeed and some fail, and no key is used for long", () => {
    const history = new FakeEnsemble({ seed: 11, ops: 4000, keys: 4, opsPerKey: 100 }).run();
    const seen = new Map<string, number>();
    const perKey = new Map<string, number>();
    for (const { request, outcome, linearizable } of history.ops) {
      const mode = request.type === "create" ? request.mode : "";
      const how = linearizable ? "linearizable" : "watch" in request && request.watch ? "watch" : "";
      const failed = outcome.type !== "done" || JSON.stringify(outcome.result).includes('"error"');
      const what = `${request.type}${mode}${how} ${failed ? "failed" : "ok"}`;
      seen.set(what, (seen.get(what) ?? 0) + 1);
      const key = /\/w\/k\d+/.exec(JSON.stringify(request))?.[0];
      if (key !== undefined && request.type !== "setWatches") perKey.set(key, (perKey.get(key) ?? 0) + 1);
    }
    const kinds = ["create0", "create1", "setData", "delete", "multi"].flatMap((kind) => [
      `${kind} ok`,
      `${kind} failed`,
    ]);
    kinds.push("create2 ok", "create3 ok", "sync ok", "setWatches ok");
    for (const read of ["getData", "exists", "getChildren"]) {
      kinds.push(`${read} ok`, `${read}linearizable ok`, `${read}watch ok`);
    }
    for (const kind of kinds) expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(0);
    // What is asked for again, and what is read behind a sync, comes on top.
    expect(Math.max(...perKey.values())).toBeLessThanOrEqual(130);
    expect(perKey.size).toBeGreaterThan(20);
  });

  it("without a session sends no request that needs one", () => {
    const workload = new Workload({ random: random(5) });
    const asks = Array.from({ length: 500 }, () => JSON.stringify(workload.next(1, false)));
    expect(asks.filter((ask) => /"mode":[13]/.test(ask))).toEqual([]);
  });
});

describe("memory of a client", () => {
  it("holds its watches that have not fired", () => {
    const memory = new ClientMemory();
    expect(memory.setWatches).toBeNull();
    const stat = {} as never;
    const ask = (type: "getData" | "exists", path: string, missing: boolean): void => {
      const result = missing
        ? ({ type: "error", code: "NO_NODE" } as const)
        : ({ type: "exists", stat } as const);
      memory.answered({ type, path, watch: true }, { type: "done", zxid: 7, result });
    };
    ask("getData", "/a", false);
    ask("getData", "/b", true);
    ask("exists", "/c", true);
    memory.answered(
      { type: "getChildren", path: "/d", watch: true, withStat: true },
      { type: "done", zxid: 6, result: { type: "getChildren", children: [], stat } },
    );
    const all = { type: "setWatches", relativeZxid: 7, data: ["/a"], exist: ["/c"], child: ["/d"] };
    expect(memory.setWatches).toEqual(all);
    memory.fired({ type: 4, path: "/d" });
    memory.fired({ type: 1, path: "/c" });
    expect(memory.setWatches).toEqual({ ...all, exist: [], child: [] });
    memory.fired({ type: 2, path: "/a" });
    expect(memory.setWatches).toBeNull();
  });
});

describe("the command", () => {
  const run = (histories: readonly History[], ...args: string[]): { code: number; out: string } => {
    const folder = mkdtempSync(join(tmpdir(), "history-"));
    try {
      const files = histories.map((history, i) => {
        const file = join(folder, `${i}.ndjson`);
        writeFileSync(file, formatHistory(history));
        return file;
      });
      const script = join(import.meta.dirname, "../../sim/node/check-history.ts");
      const out = execFileSync(process.execPath, [script, ...args, ...files], {
        encoding: "utf8",
        stdio: "pipe",
      });
      return { code: 0, out };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
      return { code: status, out: stdout + stderr };
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it("checks files and reports what it checked", { timeout: 60_000 }, () => {
    const good = new FakeEnsemble({ seed: 2, ops: 100 }).run();
    const { code, out } = run([good]);
    expect(out).toMatch(/fake ensemble, seed 2\): ok; ops 10\d, /);
    expect(code).toBe(0);
    const bad = run([good, { ...good, log: (good.log ?? []).slice(0, -20) }]);
    expect(bad.out).toContain("FAULTS");
    expect(bad.out).toContain("[order] lost: acknowledged");
    expect(bad.code).toBe(1);
    expect(run([])).toMatchObject({ code: 2, out: expect.stringContaining("usage") });
    expect(run([good], "--what").code).toBe(2);
  });
});
