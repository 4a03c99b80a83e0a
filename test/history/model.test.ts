import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { zxid } from "../../core/zab/zxid.ts";
import { TreeModel } from "../../sim/checkers/history/model.ts";
import {
  type ChangeRequest,
  formatHistory,
  outcomeOf,
  parseHistory,
  plain,
  type ReadRequest,
  Recorder,
  type WriteRequest,
  zxidText,
} from "../../sim/history/history.ts";
import { CoreServer } from "./core-server.ts";

const path = fc.constantFrom(
  "/",
  "/a",
  "/b",
  "/a/x",
  "/a/y",
  "/a/x/z",
  "/zookeeper",
  "/a/",
  "a",
  "/a//b",
  "/a/..",
);
const version = fc.constantFrom(-1, -1, 0, 1, 2);
const data = fc.constantFrom(null, "", "one", "\u00ff\u0000");
const change: fc.Arbitrary<ChangeRequest> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("create"),
      path,
      data,
      mode: fc.constantFrom(0, 1, 2, 3),
      withStat: fc.boolean(),
    }) as fc.Arbitrary<ChangeRequest>,
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("setData"),
      path,
      data,
      version,
    }) as fc.Arbitrary<ChangeRequest>,
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("delete"), path, version }) as fc.Arbitrary<ChangeRequest>,
  },
);
const check = fc.record({ type: fc.constant("check"), path, version }) as fc.Arbitrary<ChangeRequest>;
const write = fc.oneof(
  { weight: 8, arbitrary: change as fc.Arbitrary<WriteRequest> },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("multi"),
      ops: fc.array(fc.oneof(change, check), { maxLength: 4 }),
    }) as fc.Arbitrary<WriteRequest>,
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<WriteRequest>(
      { type: "sync" },
      { type: "closeSession" },
      { type: "createSession", timeoutMs: 5000 },
    ),
  },
);
const step = fc.record({ session: fc.constantFrom(0, 1, 2, 3), write });

/** Times are the leader's clock, which the model does not have. */
const timeless = (value: unknown): string =>
  JSON.stringify(value, (key, each) => {
    if (key === "ctime" || key === "mtime") return 0;
    const isRecord = typeof each === "object" && each !== null && !Array.isArray(each);
    return isRecord ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each;
  });

/** `expect` is slow, and here it would be asked a hundred thousand times. */
function same(actual: unknown, wanted: unknown): void {
  const [left, right] = [timeless(actual), timeless(wanted)];
  if (left !== right) expect(left).toBe(right);
}

describe("the model of the checkers", () => {
  it("answers every write and read as the core does", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const server = new CoreServer();
        const model = new TreeModel();
        for (const session of [1, 2]) {
          server.write(session, 0, { type: "createSession", timeoutMs: 5000 });
          model.apply(0, session, { type: "createSession", timeoutMs: 5000 });
        }
        for (const { session, write } of steps) {
          // Opening a session needs one.
          if (session === 0 && write.type.endsWith("Session")) continue;
          const outcome = server.write(session, 0, write);
          if (outcome.type !== "done" || outcome.zxid === null) throw new Error("the core answers");
          const decision = model.apply(outcome.zxid, session, write);
          same(decision.result, outcome.result);
          same(decision.events, server.tree.events);
          server.tree.events.length = 0;
          for (const type of ["exists", "getData", "getChildren"] as const) {
            for (const each of [
              "/",
              "/a",
              "/a/x",
              "/b",
              "/zookeeper",
              "/zookeeper/config",
              "/a/0000000000",
              "",
            ]) {
              const read = { type, path: each, watch: false, withStat: true } as ReadRequest;
              const answer = server.read(read);
              same(model.read(read), answer.type === "done" ? answer.result : answer);
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe("the format", () => {
  it("converts values of the core to the form of a history", () => {
    expect(plain({ data: new Uint8Array([0, 255]), at: zxid(1, 2), list: [zxid(0, 3), null] })).toEqual({
      data: "\u0000\u00ff",
      at: 2 ** 32 + 2,
      list: [3, null],
    });
    expect(zxidText(Number("0x100000003"))).toBe("1.3");
  });

  it("knows which codes leave the outcome unknown", () => {
    const at = zxid(1, 1);
    expect(outcomeOf({ ok: false, zxid: at, code: "THROTTLED" }).type).toBe("refused");
    expect(outcomeOf({ ok: false, zxid: at, code: "UNKNOWN_OUTCOME" }).type).toBe("unknown");
    expect(outcomeOf({ ok: false, zxid: at, code: "NO_NODE" })).toEqual({
      type: "done",
      zxid: 2 ** 32 + 1,
      result: { type: "error", code: "NO_NODE" },
    });
  });

  it("is read as it was written", () => {
    const recorder = new Recorder("seed 7");
    const open = recorder.invoke({ client: 1, request: { type: "createSession", timeoutMs: 4000 } });
    recorder.returned(open, { type: "done", zxid: 1, result: { type: "createSession", timeoutMs: 4000 } }, 9);
    recorder.session({ type: "connect", session: 9, conn: 1, member: 2 });
    recorder.invoke({ client: 1, session: 9, xid: 1, request: { type: "delete", path: "/a", version: -1 } });
    recorder.watch({ session: 9, conn: 1, type: 2, path: "/a", zxid: 2 });
    recorder.committed([]);
    const { history } = recorder;
    expect(parseHistory(formatHistory(history))).toEqual(history);
    expect(history.ops.map(({ session, return: at }) => [session, at])).toEqual([
      [9, 2],
      [9, Number.POSITIVE_INFINITY],
    ]);
  });

  it("refuses an invalid history", () => {
    expect(() => parseHistory("")).toThrow("not empty");
    expect(() => parseHistory('{"line":"op"}')).toThrow("begins with");
    expect(() => parseHistory('{"line":"history","version":2}')).toThrow("format 2");
    expect(() => parseHistory('{"line":"history","version":1,"about":""}\n{"line":"x"}')).toThrow("line 2");
  });
});
