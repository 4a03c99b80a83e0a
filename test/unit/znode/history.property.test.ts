import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRows, encodeRows } from "../../../core/wire/snapshot-codec.ts";
import { ZXID_ZERO } from "../../../core/zab/zxid.ts";
import { rowOf, sessionRowOf } from "../../../core/znode/rows.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  CreateMode,
  type MultiRequestOp,
  NO_SESSION,
  type WriteRequest,
  type WriteResult,
} from "../../../core/znode/types.ts";
import { Model } from "./model.ts";
import { bytes, contentsOf, digestOf, sessionId, World } from "./world.ts";

const SESSIONS = 3;
const path = fc.constantFrom(
  "/a",
  "/b",
  "/a/x",
  "/a/y",
  "/a/x/1",
  "/b/x",
  "/zookeeper",
  "/zookeeper/config",
  "/zookeeper/config/c",
  "/",
);
const version = fc.constantFrom(-1, -1, 0, 1, 2);
const data = fc.option(fc.constantFrom("", "1", "twenty-two", "x".repeat(100)), { nil: null });
const mode = fc.constantFrom(...Object.values(CreateMode));

const change: fc.Arbitrary<MultiRequestOp> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("create" as const),
      path: path.filter((p) => p !== "/"),
      mode,
      data: data.map(toBytes),
      withStat: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("delete" as const), path, version }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("setData" as const), path, data: data.map(toBytes), version }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("check" as const), path, version }) },
);

const request: fc.Arbitrary<WriteRequest> = fc.oneof(
  {
    weight: 8,
    arbitrary: change.filter(
      (op): op is Exclude<MultiRequestOp, { type: "check" | "refused" }> => op.type !== "check",
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("multi" as const), ops: fc.array(change, { maxLength: 5 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "closeSession" } as const) },
  { weight: 1, arbitrary: fc.constant({ type: "sync" } as const) },
);

/** A step of a history: a write of one of the sessions, and how many outstanding txns are committed after it. */
const step = fc.record({ request, session: fc.nat({ max: SESSIONS }), commits: fc.nat({ max: 3 }) });
const history = fc.array(step, { minLength: 1, maxLength: 60 });
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function toBytes(text: string | null): Uint8Array | null {
  return text === null ? null : bytes(text);
}

function codesOf(result: WriteResult): string[] {
  if (result.type === "multi")
    return result.results.map((each) => (each.type === "error" ? each.code : "OK"));
  return [result.type === "error" ? result.code : "OK"];
}

function pathsOf(result: WriteResult): string[] {
  const all = result.type === "multi" ? result.results : [result];
  return all.flatMap((each) => (each.type === "create" ? [each.path] : []));
}

/** Runs a history; `check` sees every write's result next to what the model expected of it. */
function run(
  steps: readonly Step[],
  check: (result: WriteResult, expected: { codes: string[]; paths: string[] }) => void,
): { world: World; model: Model } {
  const world = new World();
  const model = new Model();
  const expected: { codes: string[]; paths: string[] }[] = [];
  for (let n = 1; n <= SESSIONS; n++) {
    model.run({ type: "createSession", timeoutMs: 1 }, world.open(n));
  }
  const commitOne = (): void => {
    const result = world.commit(1);
    const wanted = expected.shift();
    if (wanted !== undefined) check(result, wanted);
  };
  for (const { request, session, commits } of steps) {
    // without a session there is none to close
    if (session === 0 && request.type === "closeSession") continue;
    const id = session === 0 ? NO_SESSION : sessionId(session);
    expected.push(model.run(request, id));
    world.prepare(request, id);
    for (let i = 0; i < commits && world.waiting > 0; i++) commitOne();
  }
  while (world.waiting > 0) commitOne();
  return { world, model };
}

const ignore = (): void => undefined;

describe("any history of writes, however many are outstanding", () => {
  test("[ZNODE-12] prep and apply have the same results as a plain tree that applies each write at once", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { world, model } = run(steps, (result, expected) => {
          expect(codesOf(result)).toEqual(expected.codes);
          const made = pathsOf(result);
          expect(made).toEqual(expected.paths.filter((each) => each.startsWith("/")));
        });
        expect([...world.tree.znodes()].map((node) => node.path).sort()).toEqual(
          [...model.nodes.keys()].sort(),
        );
        for (const [path, node] of model.nodes) {
          const found = world.tree.get(path);
          expect(found?.data ?? null).toEqual(node.data === null ? null : bytes(node.data));
          expect(world.stat(path)).toMatchObject({
            version: node.version,
            ephemeralOwner: node.owner ?? NO_SESSION,
            dataLength: node.data?.length ?? 0,
            numChildren: model.children(path).length,
            cversion: 2 * node.made - model.children(path).length,
          });
          expect(world.tree.children(path)).toEqual(model.children(path));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("[ZNODE-13] [ZNODE-14] a tree loaded from its rows, in any order, has the same contents and digest", () => {
    fc.assert(
      fc.property(history, fc.boolean(), (steps, reversed) => {
        const { world } = run(steps, ignore);
        const znodes = [...world.tree.znodes()].map(rowOf);
        const sessions = [...world.tree.sessions.values()].map(sessionRowOf);
        if (reversed) znodes.reverse();
        const rows = decodeRows(encodeRows(znodes, sessions));
        const loaded = ZnodeTree.load(rows.znodes, rows.sessions, world.tree.lastApplied);
        expect(digestOf(loaded)).toBe(digestOf(world.tree));
        expect(contentsOf(loaded)).toEqual(contentsOf(world.tree));
        expect(loaded.lastApplied).toEqual(world.tree.lastApplied);
      }),
      { numRuns: 40 },
    );
  });

  test("[ZNODE-15] checkpoints taken at any time add up to the tree", () => {
    fc.assert(
      fc.property(fc.array(history, { minLength: 1, maxLength: 3 }), (histories) => {
        const znodes = new Map<string, ReturnType<typeof rowOf>>();
        const sessions = new Map<number, ReturnType<typeof sessionRowOf>>();
        const world = new World();
        for (let n = 1; n <= SESSIONS; n++) world.open(n);
        for (const steps of histories) {
          for (const { request, session } of steps) {
            if (session !== 0 || request.type !== "closeSession")
              world.write(request, session === 0 ? NO_SESSION : sessionId(session));
          }
          const changes = world.tree.takeChanges();
          expect(changes.lastApplied).toEqual(world.tree.lastApplied);
          for (const row of changes.znodes) znodes.set(row.path, row);
          for (const gone of changes.deleted) znodes.delete(gone);
          for (const row of changes.sessions) sessions.set(row.id, row);
          for (const gone of changes.closed) sessions.delete(gone);
          const loaded = ZnodeTree.load(znodes.values(), sessions.values(), ZXID_ZERO);
          expect(digestOf(loaded)).toBe(digestOf(world.tree));
          expect(world.tree.changedCount).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("[ZNODE-13] the digest depends on the state, not on the history", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { world } = run(steps, ignore);
        const again = ZnodeTree.load(
          [...world.tree.znodes()].map(rowOf),
          [...world.tree.sessions.values()].map(sessionRowOf),
          world.tree.lastApplied,
        );
        for (const n of [1, 2, 3]) {
          for (const tree of [world.tree, again]) {
            const header = {
              session: sessionId(n),
              xid: 0,
              zxid: { ...world.last, counter: world.last.counter + n },
              timeMs: 5,
            };
            tree.apply(header, { type: "closeSession" });
          }
        }
        expect(digestOf(again)).toBe(digestOf(world.tree));
        expect(world.tree.sessions.size).toBe(0);
        expect([...world.tree.znodes()].every((node) => node.ephemeralOwner === NO_SESSION)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});
