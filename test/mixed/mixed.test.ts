/**
 * Members of two versions in one ensemble, on the real runtime: a rolling upgrade, a rollback, and formats of a later
 * version.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Build } from "../../scripts/local/build.ts";
import { all, type Cost, MixedEnsemble, SIDS } from "./ensemble.ts";
import { baseCommit, buildMixed, type Edit, type Label, removeBuild } from "./versions.ts";

/** The version after this one, as far as these tests need one: it has a txn type of its own, for paths that begin with /next. */
const NEXT: readonly Edit[] = [
  {
    file: "core/version.ts",
    from: "export const PROTOCOL_VERSION = 3;",
    to: "export const PROTOCOL_VERSION = 4;",
  },
  { file: "core/wire/txn-body.ts", from: "  CREATE2: 15,\n", to: "  CREATE2: 15,\n  NEXT: 99,\n" },
  {
    file: "core/wire/txn-body.ts",
    from: "  typeOf: ({ withStat }) => (withStat ? TxnType.CREATE2 : TxnType.CREATE),",
    to: `  typeOf: ({ path, withStat }) =>
    path.startsWith("/next") ? TxnType.NEXT : withStat ? TxnType.CREATE2 : TxnType.CREATE,`,
  },
  {
    file: "core/wire/txn-body.ts",
    from: "    const withStat = type === TxnType.CREATE2;",
    to: "    const withStat = type !== TxnType.CREATE;",
  },
  {
    file: "core/wire/txn-body.ts",
    from: "  [TxnType.CREATE2]: create,\n",
    to: "  [TxnType.CREATE2]: create,\n  [TxnType.NEXT]: create,\n",
  },
];

const CLIENTS = 3;
if (baseCommit("old") === undefined)
  console.warn("this clone holds no earlier commit: this version plays it");

let build: Build;
let ensemble: MixedEnsemble;
const STARTED = all("old");

beforeAll(async () => {
  build = await buildMixed(NEXT);
});
afterEach(() => ensemble.end());
afterAll(() => removeBuild(build));

describe("two versions in one ensemble", () => {
  it("[VER-10] an upgrade and a rollback under load, one member after the other, lose nothing", async () => {
    ensemble = new MixedEnsemble(build);
    await ensemble.start(STARTED);
    ensemble.load(CLIENTS);
    for (const label of ["new", "old", "new"] as const) {
      for (const sid of SIDS) {
        await ensemble.progress(20);
        await ensemble.change(sid, label, sid === 2 ? "crash" : "evict");
      }
    }
    // The leader goes too, whichever version leads.
    for (const label of ["old", "new"] as const) {
      const { leader } = await ensemble.whole();
      await ensemble.change(leader ?? 1, label, "crash");
      await ensemble.progress(20);
    }
    await ensemble.rest();
    expect(await ensemble.faults()).toEqual([]);
  });

  it("[VER-10] a rolling upgrade from the oldest readable state loses nothing", async () => {
    ensemble = new MixedEnsemble(build);
    await ensemble.start(all("first"));
    ensemble.load(CLIENTS);
    for (const sid of SIDS) {
      await ensemble.progress(60);
      await ensemble.change(sid, "new");
    }
    await ensemble.rest();
    expect(await ensemble.faults()).toEqual([]);
  });

  it("[VER-10] an upgrade of all members at once reads the state of earlier versions, and so does a rollback", async () => {
    ensemble = new MixedEnsemble(build);
    await ensemble.start(all("first"));
    for (const label of ["new", "old", "new"] as const) {
      ensemble.load(CLIENTS);
      await ensemble.progress(100);
      await ensemble.rest();
      await ensemble.stop();
      await ensemble.start(all(label));
      expect(await ensemble.faults()).toEqual([]);
    }
  });

  it("[VER-10] SNAP works in both directions", async () => {
    ensemble = new MixedEnsemble(build);
    await ensemble.start({ ...STARTED, 1: "new" });
    ensemble.load(CLIENTS);
    await ensemble.progress(200);
    // A leader of the old version brings up a new member, and the other way round.
    for (const [sid, versions] of [
      [1, {}],
      [1, { 2: "new", 3: "new", 1: "old" }],
    ] as const) {
      for (const [each, label] of Object.entries(versions)) await ensemble.change(Number(each), label);
      await ensemble.fault(sid, "wipe");
      await ensemble.whole();
    }
    await ensemble.rest();
    expect(await ensemble.faults()).toEqual([]);
  });

  it("[VER-10] falls asleep and wakes", async () => {
    ensemble = new MixedEnsemble(build);
    await ensemble.start({ ...STARTED, 2: "new" });
    await ensemble.create("/before", "sleep");
    for (let i = 0; i < 2; i++) {
      await ensemble.until("asleep", ({ quiet }) => quiet);
      expect(await ensemble.create(`/after${i}`, "sleep")).toBe(true);
      await ensemble.change(i + 1, i === 0 ? "new" : "old");
    }
    expect(await ensemble.faults()).toEqual([]);
  });
});

describe("brokers and partitions of two versions", () => {
  const BROKERS = [0, 1, 2] as const;
  /** Records that were acknowledged, in order. */
  let sent: string[] = [];
  const produce = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const value = `record ${sent.length}`;
      await ensemble.produce("t", value);
      sent.push(value);
    }
  };
  const whole = (label: Label) => ({
    ...all("new"),
    ...Object.fromEntries(BROKERS.map((id) => [`broker ${id}`, label])),
    partitions: label,
  });

  it("[VER-11] form one cluster: an upgrade and a rollback of the brokers lose and duplicate no record", async () => {
    sent = [];
    ensemble = new MixedEnsemble(build, BROKERS.length);
    await ensemble.start(whole("old"));
    await ensemble.brokersWhole();
    await ensemble.createTopic("t");
    await produce(5);
    for (const label of ["new", "before", "new"] as const)
      for (const id of BROKERS) {
        await ensemble.changeBroker(id, label);
        await produce(3);
      }
    expect(await ensemble.values("t")).toEqual(sent);
  });

  it("[VER-11] read each other's stored state: records, keys, leadership, identities", async () => {
    sent = [];
    ensemble = new MixedEnsemble(build, BROKERS.length);
    await ensemble.start(whole("first"));
    await ensemble.brokersWhole();
    await ensemble.createTopic("t");
    await produce(5);
    for (const label of ["new", "before", "new"] as const) {
      await ensemble.stop();
      await ensemble.start(whole(label));
      await ensemble.brokersWhole();
      // a retry of what an earlier version has taken is the same record
      await ensemble.produce("t", sent.at(-1) ?? "");
      await produce(5);
      expect(await ensemble.values("t")).toEqual(sent);
    }
  });
});

describe("a txn type that one member does not know", () => {
  const costOf = (costs: Readonly<Record<string, Cost>>, sid: number): Cost =>
    costs[sid] ?? { starts: 0, calls: 0 };

  it("[VER-5] stops that member, which reports why, costs almost nothing, and starts once it knows the type", async () => {
    ensemble = new MixedEnsemble(build);
    await ensemble.start({ ...all("next"), 1: "new" });
    const before = costOf(await ensemble.costs(), 1);
    expect(await ensemble.create("/next", "of a later version")).toBe(true);
    const view = await ensemble.until(
      "stopped",
      ({ nodes }) => nodes[0]?.up === false && nodes[0].reason !== undefined,
    );
    expect(view.nodes[0]).toMatchObject({ code: "NODE_DOWN" });
    expect(view.nodes[0]?.reason).toMatch(
      /^it has stopped: it cannot apply what was committed after 0x\d+: there is no txn of type 99 \(version 3 of the protocol, 2 times since 20\S+\)\. Deploy a version that can/,
    );
    ensemble.load(CLIENTS);
    const stopped = costOf(await ensemble.costs(), 1);
    expect(stopped.starts - before.starts).toBeLessThan(6);
    const from = performance.now();
    await ensemble.progress(300);
    await ensemble.rest();
    const seconds = (performance.now() - from) / 1_000;
    const after = costOf(await ensemble.costs(), 1);
    expect(after.starts - stopped.starts).toBeLessThanOrEqual(1);
    // each of the others looks once a tick whether it is back
    expect(after.calls - stopped.calls).toBeLessThan(10 + 10 * seconds);
    await ensemble.change(1, "next");
    expect(await ensemble.faults()).toEqual([]);
  });
});
