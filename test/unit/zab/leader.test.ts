import { describe, expect, it } from "vitest";
import { HELD_BYTES_MAX, LATE_MS } from "../../../core/zab/config.ts";
import { asSid } from "../../../core/zab/membership.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";
import { equalZxid, zxid } from "../../../core/zab/zxid.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import { NO_SESSION } from "../../../core/znode/types.ts";
import {
  ack,
  ackEpoch,
  batchOf,
  elect,
  endOf,
  entriesOf,
  followerInfo,
  leading,
  note,
  Script,
  type ScriptOptions,
  START,
  staged,
} from "../../sim/script.ts";

const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);

/** Member 3 of `size`, elected, before anybody has come to it. */
function elected(
  options: ConstructorParameters<typeof Script>[0] = {},
  voters: readonly number[] = [2],
): Script {
  const script = new Script({ sid: 3, ...options }).start();
  for (const voter of voters) elect(script, voter);
  expect(script.state).toBe("LEADING/DISCOVERY");
  script.take();
  return script;
}

/** The message of this type among those that were sent. */
function only<T extends ZabMessage["type"]>(
  messages: readonly ZabMessage[],
  type: T,
): Extract<ZabMessage, { type: T }> {
  const found = messages.filter((message) => message.type === type);
  expect(found.map((each) => each.type)).toEqual([type]);
  return found[0] as Extract<ZabMessage, { type: T }>;
}

describe("discovery", () => {
  it("[ZAB-50] waits for a quorum, itself included, before it chooses an epoch", () => {
    const script = elected({ size: 5, history: HISTORY }, [1, 2]);
    script.call(1, followerInfo(1, 1));
    expect(script.take()).toEqual([]);
    expect(script.storage.meta.acceptedEpoch).toBe(1);
    script.call(2, followerInfo(1, 1));
    expect(script.storage.meta.acceptedEpoch).toBe(2);
    expect(script.takeTypes(1)).toEqual(["LEADERINFO"]);
    expect(script.takeTypes(2)).toEqual(["LEADERINFO"]);
  });

  it("[ZAB-50] chooses an epoch above all promises of the quorum", () => {
    const script = elected({ history: HISTORY, acceptedEpoch: 4 });
    script.call(2, followerInfo(1, 9));
    expect(only(script.take(2), "LEADERINFO").epoch).toBe(10);
    expect(script.storage.meta.acceptedEpoch).toBe(10);
    expect(script.storage.meta.currentEpoch).toBe(1);
  });

  it("[ZAB-51] persists its own promise before it sends the epoch", () => {
    const script = elected({ history: HISTORY, durable: false });
    const effects = [
      ...script.peer.step(script.now, {
        type: "call",
        origin: { from: [...script.peer.links.keys()][1] as never, boot: 1, generation: 1, seq: 1 },
        messages: [followerInfo(1, 1)],
      }),
    ];
    const kinds = effects.map(({ type }) => type);
    expect(kinds.indexOf("persist")).toBeGreaterThanOrEqual(0);
    expect(kinds.indexOf("persist")).toBeLessThan(kinds.indexOf("send"));
  });

  it("[ZAB-50] sends a late learner the epoch that is already chosen", () => {
    const script = elected({ size: 5, history: HISTORY }, [1, 2]);
    script.call(1, followerInfo(1, 1));
    script.call(2, followerInfo(1, 1));
    script.take();
    script.call(4, followerInfo(1, 1));
    expect(only(script.take(4), "LEADERINFO").epoch).toBe(2);
  });

  it("[ZAB-126] steps down once for a learner that has promised a higher epoch: the next leader chooses a higher one", () => {
    const script = elected({ size: 5, history: HISTORY }, [1, 2]);
    script.call(1, followerInfo(1, 1));
    script.call(2, followerInfo(1, 1));
    script.call(4, followerInfo(1, 7));
    expect(script.state).toBe("LOOKING/ELECTION");
    // To no candidate, and durably: a leader that is elected without that learner gets its promise from us.
    expect(script.storage.meta).toMatchObject({ acceptedEpoch: 7, promisedTo: 0, currentEpoch: 1 });
    script.passes(1_000);
    for (const voter of [1, 2]) elect(script, voter);
    expect(script.state).toBe("LEADING/DISCOVERY");
    for (const voter of [1, 2]) script.call(voter, followerInfo(2, 2));
    expect(script.peer.acceptedEpoch).toBe(8);
    script.call(4, followerInfo(2, 7));
    expect(script.state).toBe("LEADING/DISCOVERY");
    expect(script.takeTypes(4)).toContain("LEADERINFO");
  });

  it("[ZAB-126] stays in broadcast when a member that does not count has promised more, and chooses a higher epoch next time", () => {
    const script = leading({ history: HISTORY });
    for (let join = 1; join <= 5; join++) script.call(1, followerInfo(join, 9, false));
    expect(script.state).toBe("LEADING/BROADCAST");
    expect(script.storage.meta.acceptedEpoch).toBe(2);
    expect(script.takeTypes(1)).toEqual([]);
    script.resign();
    elect(script, 2);
    script.call(2, followerInfo(2, 2));
    expect(script.peer.acceptedEpoch).toBe(10);
  });

  it("[ZAB-125] pauses before it leads again if it has not served, longer each time", () => {
    const script = elected({ history: HISTORY });
    script.alive("LOOKING", 2);
    for (const pause of [200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      const join = script.peer.elections;
      script.call(2, followerInfo(join, script.peer.acceptedEpoch));
      script.returned(2, ackEpoch(script, { join, last: endOf(entriesOf(START, [1, 1, 6])) }));
      expect(script.state).toBe("LOOKING/ELECTION");
      const { acceptedEpoch } = script.peer;
      elect(script, 2);
      // (An election itself takes 100 ms here.)
      script.passes(pause - 100 - 50);
      expect(script.state, `after ${pause - 50} ms`).toBe("LOOKING/ELECTION");
      expect(script.peer.acceptedEpoch).toBe(acceptedEpoch);
      script.passes(100);
      expect(script.state, `after ${pause + 50} ms`).toBe("LEADING/DISCOVERY");
    }
  });

  it("[ZAB-125] pauses neither after a leadership in which it served nor after one without an epoch", () => {
    const served = leading({ history: HISTORY });
    served.resign();
    elect(served, 2);
    expect(served.state).toBe("LEADING/DISCOVERY");
    const alone = elected({ history: HISTORY });
    alone.passes(1_100);
    expect(alone.state).toBe("LOOKING/ELECTION");
    elect(alone, 2);
    expect(alone.state).toBe("LEADING/DISCOVERY");
  });

  it("[ZAB-52] steps down when a follower has a newer history: more txns, or a later epoch", () => {
    for (const last of [endOf(entriesOf(START, [1, 1, 6])), endOf(entriesOf(START, [2, 1, 1]))]) {
      const script = elected({ history: HISTORY });
      script.call(2, followerInfo(1, 1));
      script.returned(2, ackEpoch(script, { join: 1, last }));
      expect(script.state).toBe("LOOKING/ELECTION");
      expect(script.storage.meta.currentEpoch).toBe(1);
    }
    const epoch = elected({ history: HISTORY });
    epoch.call(2, followerInfo(1, 1));
    epoch.returned(
      2,
      ackEpoch(epoch, { join: 1, currentEpoch: 2, last: endOf(entriesOf(START, [1, 1, 1])) }),
    );
    expect(epoch.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-53] counts no repeated promise, and no member without memory", () => {
    const script = elected({ size: 5, history: HISTORY }, [1, 2]);
    script.call(1, followerInfo(1, 1));
    script.call(2, followerInfo(1, 1));
    script.call(4, followerInfo(1, 1, false));
    expect(script.takeTypes(4)).toEqual([]);
    script.returned(1, ackEpoch(script, { join: 1, counted: false }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.returned(2, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.call(5, followerInfo(1, 1));
    script.returned(5, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    expect(script.storage.meta.currentEpoch).toBe(2);
  });

  it("[ZAB-54] does not count a learner that cannot lead and has entries that the leader lacks", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    const newer = endOf(entriesOf(START, [1, 1, 3], [1, 4, 2], [1, 6, 1]));
    script.returned(2, ackEpoch(script, { join: 1, last: newer, needSnap: true }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.call(1, followerInfo(1, 1));
    script.returned(1, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
  });

  it("[ZAB-54] counts a learner that cannot lead and has no entry that the leader lacks", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    script.returned(2, ackEpoch(script, { join: 1, last: endOf(HISTORY.slice(0, 1)), needSnap: true }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    expect(script.takeTypes(2)).toContain("SNAP");
  });

  it("[ZAB-55] gives up when no quorum promises within initLimit", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    script.passes(1_900);
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.passes(9_000);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-98] gives up within a tick when no quorum sends FOLLOWERINFO", () => {
    const script = elected({ history: HISTORY });
    script.passes(800);
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.passes(400);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-98] gives up within a tick when it loses its quorum before it broadcasts", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    script.returned(2, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    script.passes(1_500);
    script.broken(2);
    script.passes(800);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    script.passes(400);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-56] ignores a repeated FOLLOWERINFO", () => {
    const script = elected({ size: 5, history: HISTORY }, [1, 2]);
    script.call(1, followerInfo(4, 1));
    script.call(1, followerInfo(4, 1));
    script.call(2, followerInfo(1, 1));
    expect(script.takeTypes(1)).toEqual(["LEADERINFO"]);
  });

  it("[ZAB-56] ignores messages in flight of an earlier stay or another epoch", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    script.call(2, followerInfo(2, 1));
    script.returned(2, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.returned(2, ackEpoch(script, { join: 2, epoch: 1 }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.returned(2, ackEpoch(script, { join: 2 }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    expect(script.left).toEqual([2]);
  });

  it("[ZAB-57] a stay is not ended by a return that the learner's FOLLOWERINFO overtook (seed 263 of the first simulator)", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    expect(script.takeTypes(2)).toEqual(["LEADERINFO"]);
    script.returned(2, note(2, { role: "LOOKING", leader: 3, epoch: 1 }));
    script.returned(2, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
  });

  it("[ZAB-57] drops a learner whose call shows that it is LOOKING again", () => {
    const script = elected({ history: HISTORY });
    script.call(2, followerInfo(1, 1));
    script.call(2, note(2, { role: "LOOKING", leader: 2, epoch: 1, round: 2 }));
    script.returned(2, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    expect(script.left).toEqual([2]);
  });
});

describe("synchronization", () => {
  /** Leads in synchronization; member 2 has said that its history ends at `last`. */
  function synchronizing(
    last = endOf(HISTORY),
    options: ConstructorParameters<typeof Script>[0] = {},
  ): Script {
    const script = elected({ history: HISTORY, ...options });
    script.call(2, followerInfo(1, 1));
    script.take();
    script.returned(2, ackEpoch(script, { join: 1, last }));
    return script;
  }

  it("[ZAB-60] sends only NEWLEADER to a learner that has the whole history", () => {
    const script = synchronizing();
    expect(script.takeTypes(2)).toEqual(["DIFF", "NEWLEADER"]);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
  });

  it("[ZAB-60] sends the entries after the learner's end, then NEWLEADER", () => {
    const script = synchronizing(endOf(HISTORY.slice(0, 1)));
    const messages = script.take(2);
    expect(messages.map(({ type }) => type)).toEqual(["DIFF", "PROPOSAL", "NEWLEADER"]);
    expect(only(messages.slice(1, 2), "PROPOSAL")).toMatchObject({
      prev: endOf(HISTORY.slice(0, 1)),
      last: zxid(1, 5),
    });
  });

  it("[ZAB-61] begins to broadcast once a quorum has acknowledged NEWLEADER, and not before", () => {
    const script = synchronizing();
    script.take();
    expect(script.peer.proposing).toBeUndefined();
    script.returned(2, ack(script, 1, zxid(1, 5)));
    expect(script.state).toBe("LEADING/BROADCAST");
    expect(only(script.take(2), "UPTODATE").commit).toEqual(zxid(1, 5));
    expect(script.delivered).toEqual(["1.3", "1.5"]);
  });

  it("[ZAB-61] delivers nothing of its history before that (ZOOKEEPER-335, 1081)", () => {
    const script = synchronizing();
    expect(script.delivered).toEqual([]);
    expect(script.peer.lastProcessedZxid).toEqual(zxid(0, 0));
  });

  it("[ZAB-61] needs its own currentEpoch to be durable too", () => {
    const script = elected({ history: HISTORY, durable: false });
    script.call(2, followerInfo(1, 1));
    script.returned(2, ackEpoch(script, { join: 1 }));
    script.returned(2, ack(script, 1, zxid(1, 5)));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    script.sync();
    expect(script.state).toBe("LEADING/BROADCAST");
  });

  it("[ZAB-61] does not take an earlier ack for that of NEWLEADER (ZOOKEEPER-4685)", () => {
    const script = synchronizing(START, { config: { batchBytesMax: 1, learnerInFlightMax: 1 } });
    expect(script.takeTypes(2)).toEqual(["DIFF", "PROPOSAL"]);
    script.returned(2, ack(script, 1, zxid(1, 3)));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    script.returned(2, staged(script, 1));
    script.returned(2, staged(script, 1));
    expect(script.takeTypes(2)).toEqual(["PROPOSAL", "NEWLEADER"]);
    script.returned(2, ack(script, 1, zxid(1, 5)));
    expect(script.state).toBe("LEADING/BROADCAST");
  });

  it("[ZAB-62] stays within the learner's window, and sends more as the learner answers", () => {
    const long = entriesOf(START, ...Array.from({ length: 6 }, (_, i) => [1, i + 1, 1]));
    const script = elected({ history: long, config: { batchBytesMax: 1, learnerInFlightMax: 2 } });
    script.call(2, followerInfo(1, 1));
    script.take();
    script.returned(2, ackEpoch(script, { join: 1, last: START, currentEpoch: 0 }));
    expect(script.takeTypes(2)).toEqual(["DIFF", "PROPOSAL", "PROPOSAL"]);
    for (let counter = 1; counter <= 4; counter++) {
      script.returned(2, staged(script, 1));
      expect(script.takeTypes(2)).toEqual(counter === 4 ? ["PROPOSAL", "NEWLEADER"] : ["PROPOSAL"]);
    }
  });

  it("[ZAB-41] truncates a learner step by step until a common entry is found", () => {
    const other = elected({ history: HISTORY, acceptedEpoch: 3, size: 5 }, [1, 2]);
    other.call(1, followerInfo(1, 3));
    other.call(2, followerInfo(1, 3));
    other.returned(1, ackEpoch(other, { join: 1 }));
    other.returned(2, ackEpoch(other, { join: 1 }));
    other.take();
    other.call(4, followerInfo(1, 3));
    other.returned(4, ackEpoch(other, { join: 1, last: endOf(entriesOf(START, [1, 1, 3], [2, 1, 4])) }));
    expect(only(other.take(4).slice(1), "TRUNC").to).toEqual(zxid(1, 5));
    other.returned(4, {
      type: "POSITION",
      join: 1,
      epoch: other.peer.acceptedEpoch,
      last: endOf(HISTORY.slice(0, 1)),
      needSnap: false,
    });
    expect(other.takeTypes(4)).toEqual(["DIFF", "PROPOSAL", "NEWLEADER"]);
  });

  it("[ZAB-63] sends SNAP in chunks, one at a time, then the log after it, then NEWLEADER", () => {
    const script = elected({ history: HISTORY, config: { batchBytesMax: 1, snapChunkBytesMax: 1 } });
    script.call(2, followerInfo(1, 1));
    script.take();
    script.returned(2, ackEpoch(script, { join: 1, needSnap: true, last: endOf(HISTORY.slice(0, 1)) }));
    const types: string[] = script.takeTypes(2);
    expect(script.peer.readsSnapshot).toBe(true);
    for (let chunk = 0; types.at(-1) === "SNAPCHUNK" && chunk < 100; chunk++) {
      expect(types.filter((type) => type === "SNAPCHUNK").length).toBe(chunk + 1);
      script.returned(2, staged(script, 1));
      types.push(...script.takeTypes(2));
    }
    expect(types[0]).toBe("SNAP");
    expect(types.slice(-3)).toEqual(["PROPOSAL", "PROPOSAL", "NEWLEADER"]);
    expect(script.peer.readsSnapshot).toBe(false);
  });

  it("[ZAB-63] sends the chunks at a limited rate while it serves clients, and the log behind them at once", () => {
    const config = { snapChunkBytesMax: 1, snapBytesPerSecond: 1_000 };
    const script = leading({ size: 5, history: HISTORY, config }, [1, 2]);
    const tree = new ZnodeTree();
    for (const [i, path] of ["/a", "/b"].entries()) {
      const header = { session: NO_SESSION, xid: 0, zxid: zxid(1, i + 1), timeMs: 1 };
      const txn = { type: "create", path, data: null, ephemeral: false, withStat: false } as const;
      tree.apply(header, { ...txn, parentCversion: i + 1 });
    }
    const retain = { logRetainTxns: 0, diffBytesMax: 1_000_000 };
    script.storage.checkpoint({ ...tree.takeChanges(), lastApplied: zxid(1, 5) }, retain);
    script.call(4, followerInfo(1, 1));
    script.take();
    script.returned(4, ackEpoch(script, { join: 1, needSnap: true, last: START }));
    expect(script.takeTypes(4)).toEqual(["SNAP", "SNAPCHUNK"]);
    for (const chunk of [2, 3, 4]) {
      script.holds.length = 0;
      script.returned(4, staged(script, 1));
      script.flush();
      expect(script.takeTypes(4)).toEqual([]);
      const [ms = 0] = script.holds;
      expect(ms, `before chunk ${chunk}`).toBeGreaterThan(50);
      script.now += ms - 1;
      script.release();
      expect(script.takeTypes(4)).toEqual([]);
      script.now += 1;
      script.release();
      expect(script.takeTypes(4)).toEqual(["SNAPCHUNK"]);
    }
    script.returned(4, staged(script, 1));
    expect(script.takeTypes(4)).toContain("NEWLEADER");
  });

  it("[ZAB-55] does not give up a large SNAP that makes progress", () => {
    const script = elected({ history: HISTORY, config: { snapChunkBytesMax: 1 } });
    script.call(2, followerInfo(1, 1));
    script.returned(2, ackEpoch(script, { join: 1, needSnap: true, last: endOf(HISTORY.slice(0, 1)) }));
    script.alive("FOLLOWING", 1, 2);
    script.passes(9_000);
    script.returned(2, staged(script, 1));
    script.passes(5_000);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    script.passes(6_000);
    expect(script.state).toBe("LOOKING/ELECTION");
  });
});

describe("broadcast", () => {
  it("[ZAB-70] commits an entry once a quorum has it, itself counted only when it is durable here", () => {
    const script = leading({ history: HISTORY });
    const unsynced = leading({ history: HISTORY, durable: false });
    unsynced.sync();
    script.propose(2, 1);
    script.returned(2, ack(script, 1, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 1));
    unsynced.propose(2, 1);
    unsynced.returned(2, ack(unsynced, 1, zxid(2, 1)));
    expect(unsynced.peer.lastCommittedZxid).toEqual(zxid(1, 5));
    unsynced.sync();
    expect(unsynced.peer.lastCommittedZxid).toEqual(zxid(2, 1));
  });

  it("[ZAB-71] never applies an entry that is not durable in its own storage, even with a quorum of followers", () => {
    const script = leading({ size: 5, history: HISTORY, durable: false }, [1, 2]);
    script.sync();
    script.call(4, followerInfo(1, 1));
    script.returned(4, ackEpoch(script, { join: 1 }));
    script.returned(4, ack(script, 1, zxid(1, 5)));
    script.delivered.length = 0;
    script.propose(2, 1);
    for (const from of [1, 2, 4]) script.returned(from, ack(script, 1, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 1));
    expect(script.delivered).toEqual([]);
    script.sync();
    expect(script.delivered).toEqual(["2.1"]);
  });

  it("[ZAB-72] sends a proposal before its own write is durable, and no other message", () => {
    const script = leading({ history: HISTORY });
    script.propose(2, 1);
    const kinds = script.peer.propose(script.now, batchOf(2, 2));
    expect(kinds.map(({ type }) => type).filter((type) => type !== "trace")).toEqual(["send", "persist"]);
  });

  it("[ZAB-73] sends every learner each entry once, in order, and within its window", () => {
    const script = leading({
      history: HISTORY,
      config: { batchBytesMax: 1, learnerInFlightMax: 2, batchesInFlightMax: 8 },
    });
    script.propose(2, 1);
    script.propose(2, 2);
    script.propose(2, 3);
    script.propose(2, 4);
    expect(script.takeTypes(2)).toEqual(["PROPOSAL", "PROPOSAL"]);
    script.returned(2, ack(script, 1, zxid(2, 1)));
    const [third] = script.take(2);
    expect(third).toMatchObject({ type: "PROPOSAL", last: zxid(2, 3), commit: zxid(2, 1) });
    script.returned(2, ack(script, 1, zxid(2, 2)));
    script.returned(2, ack(script, 1, zxid(2, 3)));
    expect(script.take(2)).toMatchObject([{ type: "PROPOSAL", last: zxid(2, 4) }]);
  });

  it("[ZAB-74] sends a COMMIT once if no proposal carries the commit index, and never beyond the entries sent", () => {
    const script = leading({ history: HISTORY, config: { learnerInFlightMax: 1, batchesInFlightMax: 8 } });
    script.propose(2, 1);
    script.flush();
    expect(script.takeTypes(2)).toEqual(["PROPOSAL"]);
    script.returned(2, ack(script, 1, zxid(2, 1)));
    script.flush();
    expect(script.take(2)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 1) }]);
    script.flush();
    expect(script.take(2)).toEqual([]);
  });

  it("[ZAB-74] sends a learner with a full window no commit index beyond what it was sent", () => {
    const script = leading(
      { size: 5, history: HISTORY, config: { learnerInFlightMax: 1, batchesInFlightMax: 8 } },
      [1, 2],
    );
    script.call(4, followerInfo(1, 1));
    script.returned(4, ackEpoch(script, { join: 1 }));
    script.returned(4, ack(script, 1, zxid(1, 5)));
    script.take();
    script.propose(2, 1);
    script.propose(2, 2);
    for (const from of [1, 2]) script.returned(from, ack(script, 1, zxid(2, 1)));
    for (const from of [1, 2]) script.returned(from, ack(script, 1, zxid(2, 2)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 2));
    script.take();
    script.flush();
    expect(script.take(4)).toEqual([]);
    script.returned(4, ack(script, 1, zxid(2, 1)));
    expect(script.take(4)).toMatchObject([{ type: "PROPOSAL", last: zxid(2, 2), commit: zxid(2, 2) }]);
    script.flush();
    expect(script.take(4)).toEqual([]);
  });

  it("[ZAB-99] holds a COMMIT back for the next proposal where no client waits for it, and no longer than that", () => {
    const script = leading({ size: 5, history: HISTORY }, [1, 2]);
    const commitOne = (counter: number): void => {
      script.propose(2, counter);
      script.take();
      script.returned(1, ack(script, 1, zxid(2, counter), 20));
      script.returned(2, ack(script, 1, zxid(2, counter), 0));
      script.flush();
    };
    commitOne(1);
    expect(script.take(2)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 1) }]);
    expect(script.holds).toEqual([20]);
    script.now += 19;
    script.release();
    expect(script.take(1)).toEqual([]);
    expect(script.holds).toEqual([20, 1]);
    script.propose(2, 2);
    // The clients at 1 need no proposal yet, and with 2 alone there is no quorum of five.
    expect(script.take(1)).toMatchObject([{ type: "PROPOSAL", last: zxid(2, 2), commit: zxid(2, 1) }]);
    script.now += 1;
    script.release();
    expect(script.takeTypes()).toEqual(["PROPOSAL"]);
    script.returned(1, ack(script, 1, zxid(2, 2), 20));
    script.returned(2, ack(script, 1, zxid(2, 2), 20));
    script.flush();
    expect(script.take()).toEqual([]);
    script.now += 20;
    script.release();
    expect(script.take(1)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 2) }]);
    expect(script.take(2)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 2) }]);
  });

  describe("proposals that wait", () => {
    /** Member 3 of three that leads, with two learners whose clients can wait for so long; ms. */
    function withPatience(one: number, two: number, config: ScriptOptions["config"] = {}): Script {
      const script = leading({ history: HISTORY, config });
      script.call(1, followerInfo(1, 1));
      script.returned(1, ackEpoch(script, { join: 1 }));
      script.returned(1, ack(script, 1, zxid(1, 5)));
      script.propose(2, 1);
      script.returned(1, ack(script, 1, zxid(2, 1), one));
      script.returned(2, ack(script, 1, zxid(2, 1), two));
      script.flush();
      script.take();
      return script;
    }
    const proposed = (script: Script, to: number) =>
      script.take(to).map((message) => (message.type === "PROPOSAL" ? message.last.counter : message.type));

    it("[ZAB-104] are sent at once to a quorum only, and to the others later together, with the commit index", () => {
      const script = withPatience(20, 20);
      script.propose(2, 2);
      script.flush();
      const [prompt, other] = script.sent[0]?.to === 1 ? [1, 2] : [2, 1];
      expect(proposed(script, prompt)).toEqual([2]);
      script.returned(prompt, ack(script, 1, zxid(2, 2), 20));
      script.now += 5;
      script.propose(2, 3);
      script.returned(prompt, ack(script, 1, zxid(2, 3), 20));
      script.flush();
      expect(proposed(script, prompt)).toEqual([3]);
      expect(script.sent).toEqual([]);
      expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 3));
      expect(script.peer.settled).toBe(false);
      expect(script.holds).toEqual([20]);
      script.now += 14;
      script.release();
      expect(script.sent).toEqual([]);
      script.now += 1;
      script.release();
      expect(script.take(other)).toMatchObject([
        { type: "PROPOSAL", prev: { zxid: zxid(2, 1) }, last: zxid(2, 3), commit: zxid(2, 3) },
      ]);
      script.returned(other, ack(script, 1, zxid(2, 3), 20));
      script.now += 20;
      script.release();
      expect(script.takeTypes(other)).toEqual([]);
    });

    it("[ZAB-104] are sent at once to every learner with waiting clients, and first to the less patient learner", () => {
      const both = withPatience(0, 0);
      both.propose(2, 2);
      expect(both.takeTypes()).toEqual(["PROPOSAL", "PROPOSAL"]);
      for (const [one, two, prompt] of [
        [0, 20, 1],
        [20, 0, 2],
        [2, 20, 1],
        [20, 2, 2],
      ] as const) {
        const script = withPatience(one, two);
        script.propose(2, 2);
        script.flush();
        expect(script.sent.map(({ to }) => to)).toEqual([prompt]);
      }
    });

    it("[ZAB-104] are sent when their learner gets a waiting client", () => {
      const script = withPatience(2, 20);
      script.propose(2, 2);
      script.flush();
      expect(proposed(script, 1)).toEqual([2]);
      script.peer.proposing?.expectCommit(asSid(2));
      script.propose(2, 3);
      script.flush();
      expect(proposed(script, 2)).toEqual([2, 3]);
      expect(proposed(script, 1)).toEqual([]);
      script.returned(2, ack(script, 1, zxid(2, 3), 0));
      script.flush();
      expect(script.takeTypes(1)).toEqual([]);
      script.now += 2;
      script.release();
      expect(proposed(script, 1)).toEqual([3]);
    });

    it("[ZAB-104] are sent with the commit index, if that follows soon after the hold", () => {
      const script = withPatience(20, 2);
      script.propose(2, 2);
      script.returned(2, ack(script, 1, zxid(2, 2), 0));
      script.take();
      script.propose(2, 3);
      script.now += 2;
      script.release();
      expect(script.takeTypes(1)).toEqual([]);
      script.now += 17;
      script.release();
      expect(script.takeTypes(1)).toEqual([]);
      script.now += 1;
      script.release();
      expect(script.take(1)).toMatchObject([{ type: "PROPOSAL", last: zxid(2, 3), commit: zxid(2, 2) }]);

      const soon = withPatience(2, 0);
      soon.propose(2, 2);
      soon.now += 3;
      soon.release();
      expect(soon.take(1)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 1) }]);
      soon.returned(2, ack(soon, 1, zxid(2, 2), 0));
      soon.flush();
      expect(soon.take(1)).toMatchObject([{ type: "PROPOSAL", last: zxid(2, 2), commit: zxid(2, 2) }]);
    });

    it("[ZAB-104] are sent when they reach the limit in bytes", () => {
      const script = withPatience(2, 20, { batchesInFlightMax: 8 });
      let counter = 2;
      let bytes = 0;
      for (; bytes < HELD_BYTES_MAX; counter += 100) {
        expect(proposed(script, 2)).toEqual([]);
        bytes += script.propose(2, counter, 100).length;
        script.returned(1, ack(script, 1, zxid(2, counter + 99), 2));
        script.flush();
      }
      expect(proposed(script, 2)).toEqual([counter - 1]);
    });

    it("[ZAB-105] are sent at once when the quorum loses a learner", () => {
      const script = withPatience(2, 20);
      script.propose(2, 2);
      script.flush();
      script.take();
      script.broken(1);
      script.flush();
      expect(proposed(script, 2)).toEqual([2]);
    });

    it("[ZAB-105] do not depend on a learner that is late", () => {
      const script = withPatience(2, 20);
      script.propose(2, 2);
      script.flush();
      expect(proposed(script, 1)).toEqual([2]);
      script.now += LATE_MS;
      script.release();
      expect(proposed(script, 2)).toEqual([2]);
      script.returned(2, ack(script, 1, zxid(2, 2), 20));
      expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 2));
      script.propose(2, 3);
      script.flush();
      expect(proposed(script, 2)).toEqual([3]);
      expect(proposed(script, 1)).toEqual([]);
      script.returned(1, ack(script, 1, zxid(2, 2), 2));
      script.returned(2, ack(script, 1, zxid(2, 3), 20));
      script.now += LATE_MS;
      script.propose(2, 4);
      expect(proposed(script, 1)).toEqual([3, 4]);
    });

    it("[ZAB-105] are sent to all if no quorum is in time", () => {
      const script = withPatience(2, 20);
      script.propose(2, 2);
      script.now += 20;
      script.release();
      expect(script.takeTypes()).toEqual(["PROPOSAL", "PROPOSAL"]);
      script.now += LATE_MS;
      script.propose(2, 3);
      expect(script.takeTypes()).toEqual(["PROPOSAL", "PROPOSAL"]);
    });
  });

  describe("a REQUEST", () => {
    const request = (script: Script, version?: number) => {
      const link = script.peer.links.get(asSid(2));
      if (version !== undefined && link !== undefined) (link as { version: number }).version = version;
      return script.peer.proposing?.ackRequest(asSid(2));
    };

    it("[ZAB-106] is answered with the end of the log, and its COMMIT is only a repeat", () => {
      const script = leading({ history: HISTORY });
      script.peer.proposing?.expectCommit(asSid(2));
      script.propose(2, 1);
      expect(request(script, 3)).toEqual({ type: "LEADERACK", join: 1, epoch: 2, zxid: zxid(2, 1) });
      script.take();
      script.returned(2, ack(script, 1, zxid(2, 1)));
      script.flush();
      expect(script.takeTypes()).toEqual([]);
      script.now += LATE_MS;
      script.release();
      expect(script.take(2)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 1) }]);
      // another write of that learner, of which it was not told
      script.peer.proposing?.expectCommit(asSid(2));
      script.propose(2, 2);
      script.take();
      script.returned(2, ack(script, 1, zxid(2, 2)));
      script.flush();
      expect(script.take(2)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 2) }]);
    });

    it("[ZAB-106] of an earlier version, or where more than two are a quorum, waits for its COMMIT", () => {
      const earlier = leading({ history: HISTORY });
      expect(request(earlier, 2)).toBeUndefined();
      const five = leading({ size: 5, history: HISTORY }, [1, 2]);
      expect(request(five, 3)).toBeUndefined();
    });
  });

  it("[ZAB-75] sends proposals to a learner that has not acknowledged NEWLEADER yet", () => {
    const script = leading({ history: HISTORY });
    script.call(1, followerInfo(1, 1));
    script.returned(1, ackEpoch(script, { join: 1 }));
    expect(script.takeTypes(1)).toEqual(["LEADERINFO", "DIFF", "NEWLEADER"]);
    script.propose(2, 1);
    expect(script.takeTypes(1)).toEqual(["PROPOSAL"]);
    script.returned(1, ack(script, 1, zxid(1, 5)));
    expect(script.take(1)).toMatchObject([{ type: "UPTODATE", commit: zxid(1, 5) }]);
    script.returned(1, ack(script, 1, zxid(2, 1)));
    script.flush();
    expect(script.take(1)).toMatchObject([{ type: "COMMIT", zxid: zxid(2, 1) }]);
  });

  it("[ZAB-76] commits also by the ack of NEWLEADER, when a learner rejoins with the entry", () => {
    const script = leading({ history: HISTORY });
    script.propose(2, 1);
    script.broken(2);
    expect(script.left).toEqual([2]);
    script.reconnect(2);
    script.call(2, followerInfo(2, 2));
    script.take();
    const entry = entriesOf(endOf(HISTORY), [2, 1, 1]);
    script.returned(2, ackEpoch(script, { join: 2, last: endOf(entry) }));
    expect(script.takeTypes(2)).toEqual(["DIFF", "NEWLEADER"]);
    script.returned(2, ack(script, 2, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 1));
    expect(script.take(2)).toMatchObject([{ type: "UPTODATE", commit: zxid(2, 1) }]);
  });

  it("[ZAB-77] ignores an ack of an entry that it never sent, or of another stay", () => {
    const script = leading({ history: HISTORY });
    script.propose(2, 1);
    script.returned(2, ack(script, 1, zxid(2, 9)));
    script.returned(2, ack(script, 4, zxid(2, 1)));
    script.returned(1, ack(script, 1, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(1, 5));
    script.returned(2, ack(script, 1, zxid(2, 1)));
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 1));
  });

  it("[ZAB-78] holds batches beyond the limit in flight back", () => {
    const script = leading({ history: HISTORY, config: { batchesInFlightMax: 2 } });
    expect(script.peer.proposing?.mayPropose).toBe(true);
    script.propose(2, 1);
    script.propose(2, 2);
    expect(script.peer.proposing?.mayPropose).toBe(false);
    expect(() => script.propose(2, 3)).toThrow("within its window");
    script.returned(2, ack(script, 1, zxid(2, 1)));
    expect(script.peer.proposing?.mayPropose).toBe(true);
  });

  it("[ZAB-24] stops proposing when its counter is exhausted, and steps down on request", () => {
    const script = leading({ history: HISTORY, config: { counterMax: 2 } });
    script.propose(2, 1, 2);
    expect(script.peer.proposing?.exhausted).toBe(true);
    expect(script.peer.proposing?.mayPropose).toBe(false);
    script.returned(2, ack(script, 1, zxid(2, 2)));
    expect(script.peer.proposing?.mayPropose).toBe(false);
    script.resign();
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-79] drops a silent learner, and steps down without a quorum", () => {
    const script = leading({ size: 5, history: HISTORY }, [1, 2]);
    expect(script.peer.activeSet).toEqual([1, 2, 3]);
    script.alive("FOLLOWING", 1);
    script.passes(1_500);
    expect(script.peer.activeSet).toEqual([1, 2, 3]);
    expect(script.state).toBe("LEADING/BROADCAST");
    script.passes(1_000);
    expect(script.state).toBe("LOOKING/ELECTION");
    // A learner that a quorum can do without is only dropped.
    const larger = leading({ size: 5, history: HISTORY }, [1, 2, 4]);
    larger.alive("FOLLOWING", 1, 4);
    larger.passes(10_000);
    expect(larger.peer.activeSet).toEqual([1, 3, 4]);
    expect(larger.state).toBe("LEADING/BROADCAST");
  });

  it("[ZAB-100] does not count its own pause as silence of its learners", () => {
    const script = leading({ size: 5, history: HISTORY }, [1, 2]);
    script.after(30_000);
    expect(script.peer.activeSet).toEqual([1, 2, 3]);
    script.passes(900);
    expect(script.state).toBe("LEADING/BROADCAST");
    script.passes(1_600);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-79] waits two ticks for a learner whose link broke, from its last message", () => {
    const script = leading({ history: HISTORY });
    script.passes(500);
    script.broken(2);
    expect(script.peer.activeSet).toEqual([3]);
    script.passes(1_400);
    expect(script.state).toBe("LEADING/BROADCAST");
    script.passes(1_200);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-79] drops a learner whose ack is lost even if it answers every ping, because its window stays full", () => {
    const script = leading({ size: 5, history: HISTORY, config: { learnerInFlightMax: 1 } }, [1, 2, 4]);
    script.alive("FOLLOWING", 1, 2, 4);
    script.propose(2, 1);
    for (const sid of [1, 4]) script.returned(sid, ack(script, 1, zxid(2, 1)));
    script.passes(1_500);
    expect(script.peer.activeSet).toEqual([1, 2, 3, 4]);
    script.passes(1_000);
    expect(script.peer.activeSet).toEqual([1, 3, 4]);
    expect(script.left).toEqual([2]);
    script.passes(5_000);
    expect(script.peer.activeSet).toEqual([1, 3, 4]);
  });

  it("[ZAB-62] a later ack replaces a lost one and frees the window", () => {
    const script = leading({ history: HISTORY, config: { learnerInFlightMax: 2, batchesInFlightMax: 8 } });
    for (const counter of [1, 3, 5]) {
      script.propose(2, counter);
      script.propose(2, counter + 1);
      script.take();
      script.returned(2, ack(script, 1, zxid(2, counter + 1)));
    }
    script.propose(2, 7);
    expect(script.takeTypes(2)).toContain("PROPOSAL");
  });

  it("[ZAB-79] steps down if members answer but do not follow it (a paused leader)", () => {
    const script = leading({ history: HISTORY });
    script.broken(2);
    for (let i = 0; i < 10 && script.state === "LEADING/BROADCAST"; i++) {
      script.passes(500);
      script.call(2, { type: "PING", sentAt: i, role: "FOLLOWING" });
    }
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-80] drops a learner that lags behind the cut log instead of stopping itself", () => {
    const script = leading({ history: HISTORY, config: { learnerInFlightMax: 1, batchesInFlightMax: 8 } });
    script.propose(2, 1);
    script.propose(2, 2);
    script.propose(2, 3);
    script.storage.log.cut(zxid(2, 3), 0);
    script.take();
    script.returned(2, ack(script, 1, zxid(2, 1)));
    expect(script.takeTypes(2)).toEqual([]);
    expect(script.left).toEqual([2]);
    expect(script.peer.activeSet).toEqual([3]);
  });

  it("[ZAB-80] keeps the checkpoint and the log after it while a learner is synchronised", () => {
    const script = leading({ history: HISTORY, config: { batchBytesMax: 1, learnerInFlightMax: 1 } });
    script.call(1, followerInfo(1, 1));
    script.returned(1, ackEpoch(script, { join: 1, last: START, currentEpoch: 0 }));
    expect(script.peer.readsSnapshot).toBe(true);
    script.returned(1, staged(script, 1));
    script.returned(1, staged(script, 1));
    expect(script.takeTypes(1).at(-1)).toBe("NEWLEADER");
    expect(script.peer.readsSnapshot).toBe(false);
  });

  it("[ZAB-81] leads an ensemble of one by itself", () => {
    const script = new Script({ sid: 1, size: 1, history: HISTORY }).start();
    expect(script.state).toBe("LEADING/BROADCAST");
    expect(script.peer.currentEpoch).toBe(2);
    script.propose(2, 1);
    expect(script.peer.lastCommittedZxid).toEqual(zxid(2, 1));
    script.passes(60_000);
    expect(script.state).toBe("LEADING/BROADCAST");
  });

  it("[ZAB-82] never leads an epoch that an earlier incarnation led", () => {
    const script = new Script({ sid: 1, size: 1, history: HISTORY }).start();
    script.propose(2, 1);
    script.restart();
    expect(script.state).toBe("LEADING/BROADCAST");
    expect(script.peer.currentEpoch).toBe(3);
    expect(equalZxid(script.peer.lastLogged.zxid, zxid(2, 1))).toBe(true);
  });
});
