import { describe, expect, it } from "vitest";
import { encodeRows } from "../../../core/wire/snapshot-codec.ts";
import type { LogPosition, ZabMessage } from "../../../core/zab/messages.ts";
import { JOINS_PER_INCARNATION } from "../../../core/zab/roles.ts";
import { asEpoch, zxid } from "../../../core/zab/zxid.ts";
import { endOf, entriesOf, note, proposal, Script, type ScriptOptions, START } from "../../sim/script.ts";

const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);
const E2 = asEpoch(2);

/** Member 1, which follows member 3 since both voted for it. */
function following(options: ScriptOptions = {}): Script {
  const script = new Script({ sid: 1, history: HISTORY, ...options }).start();
  const { currentEpoch, lastLogged, acceptedEpoch } = script.peer;
  script.call(3, note(3, { epoch: currentEpoch, zxid: lastLogged.zxid, acceptedEpoch }));
  script.passes(100);
  expect(script.state).toBe("FOLLOWING/DISCOVERY");
  expect(script.takeTypes(3).at(-1)).toBe("FOLLOWERINFO");
  return script;
}

/** One that has promised epoch 2. */
function synchronizing(options: ScriptOptions = {}): Script {
  const script = following(options);
  const replies = script.call(3, { type: "LEADERINFO", join: 1, epoch: E2 });
  expect(replies.map(({ type }) => type)).toEqual(["ACKEPOCH"]);
  return script;
}

const diff = (from = zxid(1, 5)): ZabMessage => ({ type: "DIFF", join: 1, epoch: E2, from });
const newLeader = (last = zxid(1, 5)) => ({ type: "NEWLEADER", join: 1, epoch: E2, last }) as const;
const upToDate = (commit = zxid(1, 5)): ZabMessage => ({ type: "UPTODATE", join: 1, epoch: E2, commit });
const commit = (at = zxid(2, 1)): ZabMessage => ({ type: "COMMIT", join: 1, epoch: E2, zxid: at });

/** One in broadcast, with nothing but its history. */
function serving(options: ScriptOptions = {}): Script {
  const script = synchronizing(options);
  script.call(3, diff());
  script.call(3, newLeader());
  script.call(3, upToDate());
  expect(script.state).toBe("FOLLOWING/BROADCAST");
  script.take();
  return script;
}

const types = (messages: readonly ZabMessage[]): string[] => messages.map(({ type }) => type);

describe("discovery", () => {
  it("[ZAB-103] ends when the elected peer votes for another member, or in a later electionEpoch", () => {
    for (const said of [
      { leader: 2, round: 1 },
      { leader: 3, round: 2 },
    ]) {
      const script = following();
      script.returned(3, note(3, { leader: 3, round: 1 }));
      expect(script.state).toBe("FOLLOWING/DISCOVERY");
      script.returned(3, note(3, said));
      expect(script.state).toBe("LOOKING/ELECTION");
    }
    const old = following();
    old.returned(3, note(3, { leader: 2, round: 0 }));
    expect(old.state).toBe("FOLLOWING/DISCOVERY");
  });

  it("[ZAB-103] ends when the leader gives up, even if its electionEpoch is far behind the follower's (seed 1795401241994)", () => {
    const script = new Script({ history: HISTORY }).start();
    script.call(2, note(2, { round: 10 }));
    script.returned(3, note(3, { role: "LEADING", leader: 3, round: 8 }));
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    script.returned(3, note(3, { round: 8 }));
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    script.call(3, note(3, { round: 9 }));
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-51] stores its promise before it sends it", () => {
    const script = following();
    const effects = script.peer.step(script.now, {
      type: "call",
      origin: { from: script.peer.leader as never, boot: 1, generation: 1, seq: 1 },
      messages: [{ type: "LEADERINFO", join: 1, epoch: E2 }],
    });
    const kinds = effects.map(({ type }) => type).filter((type) => type === "persist" || type === "reply");
    expect(kinds).toEqual(["persist", "reply"]);
  });

  it("[ZAB-51] sends the end of its log and its currentEpoch", () => {
    const script = following();
    const [reply] = script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(7) });
    expect(reply).toMatchObject({
      type: "ACKEPOCH",
      epoch: 7,
      currentEpoch: 1,
      counted: true,
      last: endOf(HISTORY),
      needSnap: false,
      diverged: false,
    });
    expect(script.storage.meta).toMatchObject({ acceptedEpoch: 7, currentEpoch: 1 });
  });

  it("[ZAB-53] refuses an epoch below its promise, and does not count for one that it promised to another candidate", () => {
    const low = following({ acceptedEpoch: 5 });
    expect(low.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(4) })).toEqual([]);
    expect(low.state).toBe("LOOKING/ELECTION");
    const same = following({ acceptedEpoch: 5 });
    const [reply] = same.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(5) });
    expect(reply).toMatchObject({ type: "ACKEPOCH", counted: false });
  });

  it("[ZAB-53] keeps a promise after a crash", () => {
    const script = following();
    script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(9) });
    script.restart();
    expect(script.peer.acceptedEpoch).toBe(9);
    expect(script.peer.currentEpoch).toBe(1);
    script.call(3, note(3, { epoch: 1, zxid: zxid(1, 5), acceptedEpoch: 9 }));
    script.passes(100);
    script.call(3, { type: "LEADERINFO", join: script.peer.join ?? 0, epoch: asEpoch(8) });
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-53] stores to which candidate it promised, so that the same candidate may count it after a crash", () => {
    for (const [leader, counted] of [
      [3, true],
      [2, false],
    ] as const) {
      const script = following();
      script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(9) });
      script.restart();
      script.call(leader, note(leader, { epoch: 1, zxid: zxid(1, 9), acceptedEpoch: 9 }));
      script.passes(100);
      const join = script.peer.join ?? 0;
      const [reply] = script.call(leader, { type: "LEADERINFO", join, epoch: asEpoch(9) });
      expect(reply).toMatchObject({ type: "ACKEPOCH", counted });
    }
  });

  it("[ZAB-56] ignores a leader's messages for another stay, and those of another member", () => {
    const script = following();
    expect(script.call(3, { type: "LEADERINFO", join: 2, epoch: E2 })).toEqual([]);
    expect(script.call(2, { type: "LEADERINFO", join: 1, epoch: E2 })).toEqual([]);
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    expect(script.storage.meta.acceptedEpoch).toBe(1);
  });

  it("[ZAB-56] ignores messages to its earlier incarnation: every incarnation numbers its stays differently", () => {
    const script = following();
    expect(script.peer.join).toBe(1);
    script.restart();
    script.call(3, note(3, { epoch: 1, zxid: script.peer.lastLogged.zxid, acceptedEpoch: 1 }));
    script.passes(100);
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    expect(script.peer.join).not.toBe(1);
    expect(script.call(3, { type: "LEADERINFO", join: 1, epoch: E2 })).toEqual([]);
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
  });

  it("[ZAB-56] numbers its stays differently in an incarnation whose number is the time of day", () => {
    for (const boot of [1, 1_763_855_000_000, 2 ** 32, 2 ** 52]) {
      const script = following({ boot });
      const first = script.peer.join ?? 0;
      script.broken(3);
      script.call(3, note(3, { epoch: 1, zxid: script.peer.lastLogged.zxid, acceptedEpoch: 1, round: 2 }));
      script.passes(100);
      expect(script.state).toBe("FOLLOWING/DISCOVERY");
      expect(script.peer.join).toBe(first + 1);
      expect(Number.isSafeInteger(first + JOINS_PER_INCARNATION)).toBe(true);
    }
  });

  it("[ZAB-55] gives up when no leader accepts it within initLimit", () => {
    const script = following();
    script.alive("LEADING", 3);
    script.passes(9_000);
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    script.passes(2_000);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-58] sends FOLLOWERINFO again when its leader begins to lead", () => {
    const script = following();
    script.call(3, note(3, { role: "LEADING", epoch: 1, zxid: zxid(1, 5) }));
    expect(script.take(3)).toMatchObject([{ type: "FOLLOWERINFO", join: 1 }]);
  });

  it("[ZAB-58] returns to LOOKING when its leader follows another member", () => {
    const script = following();
    script.call(3, note(3, { role: "FOLLOWING", leader: 2, epoch: 1, zxid: zxid(1, 5) }));
    expect(script.state).toBe("LOOKING/ELECTION");
  });
});

describe("synchronization", () => {
  it("[ZAB-60] adopts no history before NEWLEADER", () => {
    const script = synchronizing();
    const [next] = entriesOf(endOf(HISTORY), [1, 6, 2]);
    if (next === undefined) throw new Error("there is one");
    script.call(3, diff());
    expect(types(script.call(3, proposal(1, 2, endOf(HISTORY), next)))).toEqual(["STAGED"]);
    expect(script.tail).toBe("1.5");
    expect(script.storage.log.last.zxid).toEqual(zxid(1, 5));
    expect(script.storage.meta.currentEpoch).toBe(1);
    expect(script.call(3, newLeader(zxid(1, 7)))).toMatchObject([{ type: "ACK", zxid: zxid(1, 7) }]);
    expect(script.storage.log.last.zxid).toEqual(zxid(1, 7));
    expect(script.storage.meta.currentEpoch).toBe(2);
  });

  it("[ZAB-60] stores history and currentEpoch in one transaction (ZOOKEEPER-3911, 4643)", () => {
    const script = synchronizing({ durable: false });
    script.sync();
    const [next] = entriesOf(endOf(HISTORY), [1, 6, 2]);
    if (next === undefined) throw new Error("there is one");
    script.call(3, diff());
    script.call(3, proposal(1, 2, endOf(HISTORY), next));
    const effects = script.peer.step(script.now, {
      type: "call",
      origin: { from: script.peer.leader as never, boot: 1, generation: 1, seq: 4 },
      messages: [newLeader(zxid(1, 7))],
    });
    const persists = effects.flatMap((effect) =>
      effect.type === "persist" ? [effect.writes.map((w) => w.type)] : [],
    );
    expect(persists).toEqual([["append", "currentEpoch"]]);
    expect(effects.findIndex((e) => e.type === "persist")).toBeLessThan(
      effects.findIndex((e) => e.type === "reply"),
    );
  });

  it("[ZAB-60] discards the staged history when the stay ends (ZOOKEEPER-3642)", () => {
    const script = synchronizing();
    const [next] = entriesOf(endOf(HISTORY), [1, 6, 2]);
    if (next === undefined) throw new Error("there is one");
    script.call(3, diff());
    script.call(3, proposal(1, 2, endOf(HISTORY), next));
    script.broken(3);
    expect(script.state).toBe("LOOKING/ELECTION");
    expect(script.tail).toBe("1.5");
    script.restart();
    expect(script.tail).toBe("1.5");
    expect(script.peer.currentEpoch).toBe(1);
  });

  it("[ZAB-13] truncates its log at NEWLEADER to the leader's entry, or to the nearest one before it", () => {
    const script = synchronizing({ history: entriesOf(START, [1, 1, 3], [1, 4, 5]) });
    expect(script.call(3, { type: "TRUNC", join: 1, epoch: E2, to: zxid(1, 6) })).toMatchObject([
      { type: "POSITION", last: { zxid: zxid(1, 6) }, needSnap: false },
    ]);
    expect(script.storage.log.last.zxid).toEqual(zxid(1, 8));
    script.call(3, diff(zxid(1, 6)));
    expect(types(script.call(3, newLeader(zxid(1, 6))))).toEqual(["ACK"]);
    expect(script.storage.log.last.zxid).toEqual(zxid(1, 6));
    expect(script.storage.log.rows.map((row) => row.count)).toEqual([3, 3]);
    script.restart();
    expect(script.tail).toBe("1.6");
  });

  it("[ZAB-71] does not count durable entries of a discarded history as entries of the next one", () => {
    const script = synchronizing({ durable: false });
    script.call(3, diff());
    script.call(3, newLeader());
    script.call(3, upToDate());
    script.sync();
    const [orphan] = entriesOf(endOf(HISTORY), [2, 1, 1]);
    const [older] = entriesOf(endOf(HISTORY), [1, 6, 2]);
    if (orphan === undefined || older === undefined) throw new Error("there is one of each");
    script.call(3, proposal(1, 2, endOf(HISTORY), orphan));
    script.broken(3);
    script.call(2, note(2, { role: "LEADING", epoch: 3, zxid: zxid(1, 7) }));
    const epoch = asEpoch(3);
    script.call(2, { type: "LEADERINFO", join: 2, epoch });
    script.call(2, { type: "TRUNC", join: 2, epoch, to: zxid(1, 7) });
    script.call(2, { type: "DIFF", join: 2, epoch, from: zxid(1, 5) });
    script.call(2, proposal(2, 3, endOf(HISTORY), older));
    expect(types(script.call(2, { type: "NEWLEADER", join: 2, epoch, last: zxid(1, 7) }))).toEqual(["ACK"]);
    script.call(2, { type: "UPTODATE", join: 2, epoch, commit: zxid(1, 7) });
    // Only the write of the orphan comes to an end: it says nothing of 1.7.
    script.sync(1);
    expect(script.delivered).toEqual(["1.3", "1.5"]);
    script.sync();
    expect(script.delivered).toEqual(["1.3", "1.5", "1.7"]);
  });

  it("[ZAB-13] answers a TRUNC to an entry that it lacks with the nearest one before it", () => {
    const script = synchronizing({
      history: entriesOf(START, [1, 1, 3], [2, 1, 2]),
      currentEpoch: 2,
      acceptedEpoch: 1 + 1,
    });
    expect(script.call(3, { type: "TRUNC", join: 1, epoch: E2, to: zxid(1, 9) })).toMatchObject([
      { type: "POSITION", last: { zxid: zxid(1, 3) } },
    ]);
  });

  it("[ZAB-45] never undoes an applied txn: it requests SNAP, and is no candidate until it has one", () => {
    const script = synchronizing({ committed: zxid(1, 5) });
    expect(script.peer.lastProcessedZxid).toEqual(zxid(1, 5));
    expect(script.call(3, { type: "TRUNC", join: 1, epoch: E2, to: zxid(1, 3) })).toMatchObject([
      { type: "POSITION", last: { zxid: zxid(1, 5) }, needSnap: true },
    ]);
    expect(script.storage.log.last.zxid).toEqual(zxid(1, 5));
    script.broken(3);
    expect(script.take(2).at(-1)).toMatchObject({
      type: "NOTIFICATION",
      vote: { leader: 1, epoch: 0, zxid: zxid(0, 0) },
    });
  });

  const AT: LogPosition = { zxid: zxid(2, 40), chain: { high: 3, low: 4 } };
  const snap = { type: "SNAP", join: 1, epoch: E2, at: AT } as const;
  const chunk = (index: number, done: boolean) =>
    ({ type: "SNAPCHUNK", join: 1, epoch: E2, index, bytes: encodeRows([], []), done }) as const;

  it("[ZAB-46] still needs a SNAP after a crash, until it has one", () => {
    const script = synchronizing({ committed: zxid(1, 5) });
    script.call(3, { type: "TRUNC", join: 1, epoch: E2, to: zxid(1, 3) });
    script.restart();
    expect(script.take(2).at(-1)).toMatchObject({ vote: { leader: 1, epoch: 0, zxid: zxid(0, 0) } });
    script.call(3, note(3, { epoch: 1, zxid: zxid(1, 5), acceptedEpoch: 2 }));
    script.passes(100);
    const stay = { join: script.peer.join ?? 0, epoch: E2 };
    const [reply] = script.call(3, { type: "LEADERINFO", ...stay });
    expect(reply).toMatchObject({ type: "ACKEPOCH", needSnap: true });
    script.call(3, { ...snap, ...stay });
    script.call(3, { ...chunk(0, true), ...stay });
    script.call(3, { ...newLeader(AT.zxid), ...stay });
    expect(script.storage.meta).toMatchObject({ table: 1, needSnap: false });
    script.restart();
    expect(script.take(2).at(-1)).toMatchObject({ vote: { leader: 1, epoch: 2, zxid: AT.zxid } });
  });

  it("[ZAB-63] receives a SNAP in chunks and adopts it at NEWLEADER, with its log", () => {
    const script = synchronizing();
    expect(script.call(3, snap)).toEqual([]);
    expect(script.call(3, chunk(0, false))).toMatchObject([{ type: "STAGED" }]);
    expect(script.call(3, chunk(1, true))).toMatchObject([{ type: "STAGED" }]);
    expect(script.tail).toBe("1.5");
    const [next] = entriesOf(AT, [2, 41, 1]);
    if (next === undefined) throw new Error("there is one");
    expect(types(script.call(3, proposal(1, 2, AT, next)))).toEqual(["STAGED"]);
    expect(script.call(3, newLeader(zxid(2, 41)))).toMatchObject([{ type: "ACK", zxid: zxid(2, 41) }]);
    expect(script.storage.log.base).toEqual(AT);
    expect(script.storage.log.last.zxid).toEqual(zxid(2, 41));
    expect(script.storage.meta).toMatchObject({ table: 1, checkpoint: AT, currentEpoch: 2 });
  });

  it("[ZAB-63] keeps the old tree when a SNAP is interrupted, and starts the next one from the beginning (ZOOKEEPER-2872)", () => {
    const script = synchronizing();
    script.call(3, snap);
    script.call(3, chunk(0, false));
    script.restart();
    expect(script.storage.meta).toMatchObject({ table: 0, currentEpoch: 1 });
    expect(script.tail).toBe("1.5");
    expect(script.peer.lastProcessedZxid).toEqual(zxid(0, 0));
  });

  it("[ZAB-63] ends the stay at a chunk out of order, or at NEWLEADER before the last chunk", () => {
    const gap = synchronizing();
    gap.call(3, snap);
    gap.call(3, chunk(1, false));
    expect(gap.state).toBe("LOOKING/ELECTION");
    const early = synchronizing();
    early.call(3, snap);
    early.call(3, chunk(0, false));
    early.call(3, newLeader(AT.zxid));
    expect(early.state).toBe("LOOKING/ELECTION");
    expect(early.tail).toBe("1.5");
  });

  it("[ZAB-45] is a candidate again after a SNAP", () => {
    const script = synchronizing({ committed: zxid(1, 5) });
    script.call(3, { type: "TRUNC", join: 1, epoch: E2, to: zxid(1, 3) });
    script.call(3, snap);
    script.call(3, chunk(0, true));
    script.call(3, newLeader(AT.zxid));
    script.broken(3);
    expect(script.take(2).at(-1)).toMatchObject({
      type: "NOTIFICATION",
      vote: { leader: 1, epoch: 2, zxid: AT.zxid },
    });
  });

  it("[ZAB-64] ends the stay at a message that does not continue the staged history", () => {
    const [next, after] = entriesOf(endOf(HISTORY), [1, 6, 2], [1, 8, 1]);
    if (next === undefined || after === undefined) throw new Error("there are two");
    const wrong: readonly (readonly ZabMessage[])[] = [
      [diff(zxid(1, 3))],
      [diff(), proposal(1, 2, { zxid: next.last, chain: next.chain }, after)],
      [diff(), proposal(1, 2, { ...endOf(HISTORY), chain: { high: 0, low: 1 } }, next)],
      [diff(), newLeader(zxid(1, 6))],
      [diff(), { ...proposal(1, 2, endOf(HISTORY), next), last: zxid(1, 9) } as ZabMessage],
      [upToDate()],
      [commit(zxid(1, 5))],
      [{ type: "LEADERINFO", join: 1, epoch: asEpoch(3) }],
    ];
    for (const messages of wrong) {
      const script = synchronizing();
      for (const message of messages) script.call(3, message);
      expect(script.state, types(messages).join()).toBe("LOOKING/ELECTION");
      expect(script.tail).toBe("1.5");
    }
  });

  it("[ZAB-64] begins a new stay when a leader that has dropped it accepts it again", () => {
    const [next] = entriesOf(endOf(HISTORY), [1, 6, 2]);
    if (next === undefined) throw new Error("there is one");
    const script = synchronizing();
    script.call(3, diff());
    script.call(3, proposal(1, 2, endOf(HISTORY), next));
    script.take();
    // What it has answered so far may come late, so it is of another stay than what comes now.
    expect(script.call(3, { type: "LEADERINFO", join: 1, epoch: E2 })).toEqual([]);
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    expect(script.take(3)).toMatchObject([{ type: "FOLLOWERINFO", join: 2, acceptedEpoch: E2 }]);
    expect(script.call(3, diff())).toEqual([]);
    expect(script.call(3, proposal(1, 2, endOf(HISTORY), next))).toEqual([]);
    expect(script.call(3, { type: "LEADERINFO", join: 2, epoch: E2 })).toMatchObject([
      { type: "ACKEPOCH", join: 2, epoch: E2, last: endOf(HISTORY), counted: true },
    ]);
    script.call(3, { ...diff(), join: 2 } as ZabMessage);
    expect(script.call(3, { ...newLeader(), join: 2 } as ZabMessage)).toMatchObject([
      { type: "ACK", join: 2, zxid: zxid(1, 5) },
    ]);
    script.call(3, { type: "LEADERINFO", join: 2, epoch: E2 });
    expect(script.call(3, { type: "LEADERINFO", join: 3, epoch: E2 })).toMatchObject([
      { type: "ACKEPOCH", join: 3, currentEpoch: E2, last: endOf(HISTORY) },
    ]);
    script.call(3, { ...diff(), join: 3 } as ZabMessage);
    expect(script.call(3, { ...newLeader(), join: 3 } as ZabMessage)).toMatchObject([
      { type: "ACK", zxid: zxid(1, 5) },
    ]);
    script.call(3, { ...upToDate(), join: 3 } as ZabMessage);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
  });

  it("[ZAB-64] begins a new stay when the leader has dropped it during broadcast", () => {
    const script = synchronizing();
    script.call(3, diff());
    script.call(3, newLeader());
    script.call(3, upToDate());
    script.take();
    expect(script.call(3, { type: "LEADERINFO", join: 1, epoch: E2 })).toEqual([]);
    expect(script.state).toBe("LOOKING/ELECTION");
    expect(script.peer.reason).toBe("the leader has restarted this stay");
  });

  it("[ZAB-64] ends the stay at a message of another epoch", () => {
    const script = synchronizing();
    script.call(3, { type: "DIFF", join: 1, epoch: asEpoch(3), from: zxid(1, 5) });
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-65] logs and acknowledges proposals between NEWLEADER and UPTODATE, and applies them later (ZOOKEEPER-4394)", () => {
    const script = synchronizing();
    script.call(3, diff());
    script.call(3, newLeader());
    const [next] = entriesOf(endOf(HISTORY), [2, 1, 2]);
    if (next === undefined) throw new Error("there is one");
    expect(script.call(3, proposal(1, 2, endOf(HISTORY), next, zxid(1, 5)))).toMatchObject([
      { type: "ACK", zxid: zxid(2, 2) },
    ]);
    expect(script.delivered).toEqual([]);
    script.call(3, upToDate());
    expect(script.delivered).toEqual(["1.3", "1.5"]);
    script.call(3, commit(zxid(2, 2)));
    expect(script.delivered).toEqual(["1.3", "1.5", "2.2"]);
  });

  it("[ZAB-65] refuses an UPTODATE above the end of its log", () => {
    const script = synchronizing();
    script.call(3, diff());
    script.call(3, newLeader());
    script.call(3, upToDate(zxid(2, 1)));
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-55] does not give up a long synchronization that makes progress", () => {
    const long = entriesOf(endOf(HISTORY), ...Array.from({ length: 4 }, (_, i) => [1, 6 + i, 1]));
    const script = synchronizing();
    script.alive("LEADING", 3);
    script.call(3, diff());
    let prev = endOf(HISTORY);
    for (const entry of long) {
      script.passes(8_000);
      script.call(3, proposal(1, 2, prev, entry));
      prev = { zxid: entry.last, chain: entry.chain };
      expect(script.state).toBe("FOLLOWING/SYNCHRONIZATION");
    }
    script.passes(11_000);
    expect(script.state).toBe("LOOKING/ELECTION");
  });
});

describe("broadcast", () => {
  const [first, second] = entriesOf(endOf(HISTORY), [2, 1, 2], [2, 3, 1]);
  if (first === undefined || second === undefined) throw new Error("there are two");
  const afterFirst = { zxid: first.last, chain: first.chain };

  it("[ZAB-73] acknowledges durable entries, cumulatively", () => {
    const script = serving();
    expect(script.call(3, proposal(1, 2, endOf(HISTORY), first))).toMatchObject([
      { type: "ACK", zxid: zxid(2, 2) },
    ]);
    expect(script.call(3, proposal(1, 2, afterFirst, second))).toMatchObject([
      { type: "ACK", zxid: zxid(2, 3) },
    ]);
    expect(script.storage.log.last.zxid).toEqual(zxid(2, 3));
  });

  it("[ZAB-71] applies committed and durable entries, in order, and no others", () => {
    const script = serving({ durable: false });
    // What it had at its start is durable; what NEWLEADER wrote is not yet.
    expect(script.delivered).toEqual(["1.3", "1.5"]);
    script.sync();
    script.call(3, proposal(1, 2, endOf(HISTORY), first));
    script.call(3, proposal(1, 2, afterFirst, second, zxid(2, 1)));
    expect(script.delivered).toEqual(["1.3", "1.5"]);
    script.sync();
    expect(script.delivered.slice(2)).toEqual(["2.1"]);
    script.call(3, commit(zxid(2, 3)));
    expect(script.delivered.slice(3)).toEqual(["2.2", "2.3"]);
  });

  describe("the leader's ack of a REQUEST", () => {
    const leaderAck = (at = zxid(2, 2), join = 1): ZabMessage => ({
      type: "LEADERACK",
      join,
      epoch: E2,
      zxid: at,
    });

    it("[ZAB-106] commits what is durable at both, where the two are a quorum", () => {
      const script = serving({ durable: false });
      script.sync();
      script.call(3, proposal(1, 2, endOf(HISTORY), first));
      script.returned(3, leaderAck());
      expect(script.delivered.slice(2)).toEqual([]);
      script.sync();
      expect(script.delivered.slice(2)).toEqual(["2.2"]);
      script.call(3, proposal(1, 2, afterFirst, second));
      script.sync();
      expect(script.delivered.slice(3)).toEqual([]);
      script.returned(3, leaderAck(zxid(2, 3)));
      expect(script.delivered.slice(3)).toEqual(["2.3"]);
      script.call(3, commit(zxid(2, 3)));
      expect(script.delivered.slice(4)).toEqual([]);
    });

    it("[ZAB-106] may arrive before the proposal", () => {
      const script = serving();
      script.returned(3, leaderAck(zxid(2, 3)));
      expect(script.state).toBe("FOLLOWING/BROADCAST");
      script.call(3, proposal(1, 2, endOf(HISTORY), first));
      script.call(3, proposal(1, 2, afterFirst, second));
      expect(script.delivered.slice(2)).toEqual(["2.2", "2.3"]);
    });

    it("[ZAB-106] commits nothing where more than two are a quorum", () => {
      const script = new Script({ sid: 1, size: 5, history: HISTORY }).start();
      const { currentEpoch, lastLogged, acceptedEpoch } = script.peer;
      const vote = { leader: 3, epoch: currentEpoch, zxid: lastLogged.zxid, acceptedEpoch };
      for (const voter of [2, 3]) script.call(voter, note(voter, vote));
      script.passes(100);
      script.call(3, { type: "LEADERINFO", join: 1, epoch: E2 });
      for (const message of [diff(), newLeader(), upToDate()]) script.call(3, message);
      expect(script.state).toBe("FOLLOWING/BROADCAST");
      script.call(3, proposal(1, 2, endOf(HISTORY), first));
      script.returned(3, leaderAck());
      expect(script.delivered.slice(2)).toEqual([]);
    });

    it("[ZAB-106] counts in its own stay only, and only in a return of the leader", () => {
      const script = serving();
      script.call(3, proposal(1, 2, endOf(HISTORY), first));
      script.returned(3, leaderAck(zxid(2, 2), 2));
      script.returned(2, leaderAck());
      script.call(3, leaderAck());
      expect(script.state).toBe("FOLLOWING/BROADCAST");
      expect(script.delivered.slice(2)).toEqual([]);
    });
  });

  it("[ZAB-73] ends the stay at a gap, a repeated entry, or a commit above its log", () => {
    const wrong: readonly ZabMessage[] = [
      proposal(1, 2, afterFirst, second),
      proposal(1, 2, START, first),
      commit(zxid(2, 1)),
      newLeader(),
      upToDate(),
      diff(),
    ];
    for (const message of wrong) {
      const script = serving();
      script.call(3, message);
      expect(script.state, message.type).toBe("LOOKING/ELECTION");
      expect(script.tail).toBe("1.5");
    }
  });

  it("[ZAB-83] looks for a leader at once when the link to its leader breaks", () => {
    const script = serving();
    script.broken(2);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    script.broken(3);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-83] looks for a leader after syncLimit ticks of silence", () => {
    const script = serving({ config: { syncLimit: 3 } });
    script.passes(2_900);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    script.passes(200);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-100] does not count its own pause as silence of the leader", () => {
    const script = serving();
    script.after(30_000);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    expect(script.takeTypes(3)).toContain("PING");
    script.passes(2_500);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-83] counts both calls and returns of its leader as messages of a live leader", () => {
    const script = serving();
    script.alive("LEADING", 3);
    script.passes(6_000);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    for (let i = 0; i < 6; i++) {
      script.now += 1_500;
      script.call(3, { type: "PING", sentAt: i, role: "LEADING", join: 1 });
    }
    expect(script.state).toBe("FOLLOWING/BROADCAST");
  });

  it("[ZAB-84] leaves a leader that no longer leads, or no longer has it as a learner", () => {
    for (const ping of [
      { type: "PING", sentAt: 0, role: "LOOKING" },
      { type: "PING", sentAt: 0, role: "LEADING" },
      { type: "PING", sentAt: 0, role: "LEADING", join: 2 },
    ] as const) {
      const script = serving();
      script.call(3, { type: "PING", sentAt: 0, role: "LEADING", join: 1 });
      expect(script.state).toBe("FOLLOWING/BROADCAST");
      script.call(3, ping);
      expect(script.state).toBe("LOOKING/ELECTION");
    }
  });

  it("[ZAB-85] pings its leader at once when another member is LOOKING", () => {
    const script = serving();
    script.alive("LEADING", 3);
    script.take();
    expect(types(script.call(2, note(2, { round: 9, epoch: 1 })))).toEqual(["NOTIFICATION"]);
    expect(script.takeTypes(3)).toEqual(["PING"]);
  });

  it("[ZAB-90] reports that it differs when it rejoins, and keeps its data until the SNAP", () => {
    const script = serving();
    script.diverge();
    expect(script.state).toBe("LOOKING/ELECTION");
    script.call(3, note(3, { role: "LEADING", epoch: 2, zxid: zxid(1, 5) }));
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    const [reply] = script.call(3, { type: "LEADERINFO", join: 2, epoch: E2 });
    expect(reply).toMatchObject({ type: "ACKEPOCH", diverged: true, last: endOf(HISTORY) });
    expect(script.storage.log.last.zxid).toEqual(zxid(1, 5));
    expect(script.storage.meta.table).toBe(0);
  });

  it("[ZAB-124] answers the vote of a leader that no longer leads with its own vote, not with its old role", () => {
    const script = serving();
    const [answer] = script.call(3, note(3, { round: 9, epoch: 0 }));
    expect(script.state).toBe("LOOKING/ELECTION");
    expect(answer).toMatchObject({ type: "NOTIFICATION", role: "LOOKING", round: 9, vote: { leader: 1 } });
  });

  it("[ZAB-90] does not report the difference to another leader", () => {
    const script = serving();
    script.diverge();
    script.call(2, note(2, { role: "LEADING", epoch: 2, zxid: zxid(1, 5) }));
    expect(script.peer.leader).toBe(2);
    const [reply] = script.call(2, { type: "LEADERINFO", join: 2, epoch: asEpoch(3) });
    expect(reply).toMatchObject({ type: "ACKEPOCH", diverged: false });
  });

  it("[ZAB-17] stores the commit index with every row, so that a start applies exactly the committed entries", () => {
    const script = serving();
    script.call(3, proposal(1, 2, endOf(HISTORY), first, zxid(1, 5)));
    script.call(3, proposal(1, 2, afterFirst, second, zxid(2, 1)));
    script.restart();
    expect(script.peer.lastProcessedZxid).toEqual(zxid(1, 5));
    expect(script.tail).toBe("2.3");
  });
});
