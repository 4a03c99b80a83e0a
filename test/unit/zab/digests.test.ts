import { describe, expect, it } from "vitest";
import { DIGESTS_KEPT, DigestHistory, TreeAgreement } from "../../../core/zab/digests.ts";
import { asSid, foundingMembership } from "../../../core/zab/membership.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";
import { MajorityQuorum } from "../../../core/zab/quorum-verifier.ts";
import { asEpoch, ZXID_ZERO, zxid } from "../../../core/zab/zxid.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  ack,
  ackEpoch,
  confirm,
  digestAt,
  elect,
  endOf,
  entriesOf,
  followerInfo,
  note,
  Script,
  START,
  staged,
} from "../../sim/script.ts";

const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);
const END = zxid(1, 5);
/** What a leader sends a learner whose log ends where its own does. */
const DIFF = ["DIFF", "NEWLEADER"];
const SNAP = ["SNAP", "SNAPCHUNK"];

/** Member 3 has won the election, has this digest, and has chosen epoch 2 with these voters. */
function leads({ size = 3, voters = [2] as readonly number[], hasDigest = true } = {}): Script {
  const script = new Script({ sid: 3, size, history: HISTORY, committed: END });
  if (hasDigest) script.peer.digest = digestAt(END);
  script.start();
  for (const voter of voters) elect(script, voter);
  expect(script.state).toBe("LEADING/DISCOVERY");
  for (const voter of voters) script.call(voter, followerInfo(1, 1));
  script.take();
  return script;
}

/** A learner comes back, or comes first, in a stay of its own. */
function joins(script: Script, sid: number, join: number): void {
  script.call(sid, followerInfo(join, 1));
  script.take(sid);
}

/** Leads in broadcast; these learners have its history, and said this of their trees. */
function broadcasts(
  size: number,
  learners: ReadonlyMap<number, ReturnType<typeof digestAt> | undefined>,
): Script {
  const voters = [...learners.keys()];
  const script = leads({ size, voters });
  for (const [sid, digest] of learners) script.returned(sid, ackEpoch(script, { join: 1, digest }));
  for (const sid of voters) script.returned(sid, ack(script, 1, END));
  expect(script.state).toBe("LEADING/BROADCAST");
  script.take();
  return script;
}

describe("the digests that a member remembers", () => {
  it("[ZAB-120] are found by zxid: the latest ones, and none of an earlier tree", () => {
    const history = new DigestHistory();
    expect(history.at(zxid(1, 1))).toBeUndefined();
    for (let counter = 2; counter <= 2 * DIGESTS_KEPT; counter += 2) history.add(digestAt(zxid(1, counter)));
    expect(history.at(zxid(1, 2))).toEqual(digestAt(zxid(1, 2)));
    expect(history.at(zxid(1, 3))).toBeUndefined();
    expect(history.at(zxid(1, 2 * DIGESTS_KEPT + 2))).toBeUndefined();
    history.add(digestAt(zxid(2, 1)));
    expect(history.at(zxid(1, 2))).toBeUndefined();
    expect(history.at(zxid(1, 4))).toEqual(digestAt(zxid(1, 4)));
    expect(history.at(zxid(2, 1))).toEqual(digestAt(zxid(2, 1)));
    history.clear();
    expect(history.at(zxid(2, 1))).toBeUndefined();
  });
});

describe("digests that a leader knows", () => {
  /** The last member leads. */
  const of = (size: number): TreeAgreement =>
    new TreeAgreement(new MajorityQuorum(foundingMembership(size)), asSid(size));
  const a = asSid(1);
  const b = asSid(2);
  const c = asSid(3);
  const d = asSid(4);

  it("[ZAB-92] proves a zxid by a quorum at or above it, the leader included", () => {
    const trees = of(5);
    trees.confirm(a, zxid(1, 5));
    expect(trees.proves(ZXID_ZERO)).toBe(false);
    trees.confirm(b, zxid(1, 3));
    expect(trees.proves(zxid(1, 3))).toBe(true);
    expect(trees.proves(zxid(1, 4))).toBe(false);
    trees.confirm(b, zxid(2, 1));
    expect(trees.proves(zxid(1, 5))).toBe(true);
  });

  it("[ZAB-122] does not count a copy of an unconfirmed tree as a confirmation", () => {
    const trees = of(3);
    trees.copy(a, false);
    trees.confirm(a, zxid(1, 5));
    expect(trees.proves(ZXID_ZERO)).toBe(false);
    expect(trees.allowsWrites([a])).toBe(true);
    trees.differ(b, zxid(1, 4));
    expect(trees.allowsWrites([a])).toBe(false);
    const proven = of(3);
    proven.copy(a, true);
    proven.confirm(a, zxid(1, 5));
    expect(proven.proves(zxid(1, 5))).toBe(true);
  });

  it("[ZAB-121] allows no writes because of a copy that was not compared", () => {
    const trees = of(3);
    trees.copy(a, false);
    expect(trees.allowsWrites([a])).toBe(false);
    trees.confirm(a, zxid(1, 5));
    expect(trees.allowsWrites([a])).toBe(true);
  });

  it("[ZAB-123] does not wait for a tree that its member has discarded, and counts that member's report against the leader", () => {
    const trees = of(3);
    trees.copy(a, false);
    trees.confirm(a, zxid(1, 5));
    trees.differ(b, zxid(1, 5));
    trees.abandon(b);
    expect(trees.differing).toEqual([]);
    expect(trees.allowsWrites([a])).toBe(true);
    trees.differ(a, zxid(1, 6));
    expect(trees.refuted).toBe(true);
  });

  it("[ZAB-91] keeps a member's report after its crash, until the trees are found equal at that zxid or later", () => {
    const trees = of(5);
    for (const sid of [a, b, c]) trees.differ(sid, zxid(1, 5));
    expect(trees.refuted).toBe(true);
    // Equal before says nothing of what came between.
    trees.confirm(c, zxid(1, 2));
    expect(trees.refuted).toBe(true);
    expect(trees.disputed).toEqual(zxid(1, 5));
    trees.confirm(c, zxid(1, 5));
    expect(trees.refuted).toBe(false);
    trees.differ(d, zxid(1, 7));
    expect(trees.refuted).toBe(true);
    expect(trees.disputed).toEqual(zxid(1, 7));
  });
});

describe("a tree that differs", () => {
  it("[ZAB-92] is replaced once a quorum has confirmed the leader's tree at the disputed zxid; the active set does not matter", () => {
    const script = broadcasts(3, new Map([[2, digestAt(END)]]));
    script.propose(2, 1);
    script.returned(2, ack(script, 1, zxid(2, 1)));
    script.tellDigest(digestAt(zxid(2, 1)));
    joins(script, 1, 1);
    // Member 2 has confirmed 1.5, and the dispute is of 2.1.
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(zxid(2, 1), 7) }));
    script.flush();
    expect(script.takeTypes(1)).toEqual([]);
    expect(script.peer.proposing?.mayPropose).toBe(false);
    expect(script.peer.reason).toContain("differs from that of node 1");
    expect(script.takeTypes(2)).toContain("CHECK");
    script.call(2, confirm(script, 1, zxid(2, 1)));
    expect(script.takeTypes(1)).toEqual(SNAP);
    expect(script.peer.proposing?.mayPropose).toBe(true);
    expect(script.peer.reason).toBe("");
  });

  it("[ZAB-92] is not replaced by a tree that the rest of the quorum finds wrong: the leader steps down", () => {
    const script = broadcasts(3, new Map([[2, digestAt(END)]]));
    script.propose(2, 1);
    script.returned(2, ack(script, 1, zxid(2, 1)));
    script.tellDigest(digestAt(zxid(2, 1)));
    joins(script, 1, 1);
    script.returned(
      1,
      ackEpoch(script, { join: 1, diverged: true, divergedAt: zxid(2, 1), digest: digestAt(zxid(2, 1), 7) }),
    );
    expect(script.take(1)).toEqual([]);
    joins(script, 2, 2);
    script.returned(
      2,
      ackEpoch(script, { join: 2, diverged: true, divergedAt: zxid(2, 1), digest: digestAt(zxid(2, 1), 7) }),
    );
    expect(script.state).toBe("LOOKING/ELECTION");
    expect(script.storage.meta.needSnap).toBe(true);
  });

  it("[ZAB-91] makes the leader step down when a quorum has reported a difference, and not lead before it has synchronised", () => {
    const script = leads({ size: 5, voters: [1, 2] });
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    // The first crashes after it has reported, and what it said stays.
    script.reboot(1);
    joins(script, 4, 1);
    script.returned(4, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    joins(script, 5, 1);
    script.returned(5, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    expect(script.state).toBe("LOOKING/ELECTION");
    const [mine] = script.take(1).filter(({ type }) => type === "NOTIFICATION");
    expect(mine).toMatchObject({ vote: { leader: 3, epoch: 0, zxid: zxid(0, 0) } });
    for (const voter of [1, 2, 4, 5]) elect(script, voter);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-120] is found before the leader serves, by the digests with which its learners join", () => {
    const script = leads();
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    expect(script.take(2)).toEqual([]);
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    // Two of three agree: the third gets their tree, and the epoch begins.
    expect(script.takeTypes(2)).toEqual(SNAP);
    expect(script.takeTypes(1)).toEqual(DIFF);
  });

  it("[ZAB-123] keeps the leader waiting, without another election, while it is not known which tree is right", () => {
    const script = leads();
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.alive("FOLLOWING", 2);
    const { elections } = script.peer;
    script.passes(120_000);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    expect(script.peer.elections).toBe(elections);
    expect(script.peer.reason).toBe(
      "the tree here differs from that of node 2, and no quorum has confirmed either",
    );
    const pings = script.take(2).filter(({ type }) => type === "PING");
    expect(pings.at(-1)).toMatchObject({ disputed: true });
  });

  it("[ZAB-128] makes the leader step down if a learner has its history in the meantime and would win the next election", () => {
    const script = leads({ size: 5, voters: [2, 5] });
    // member 5 has nothing to compare yet; member 2 differs
    script.returned(5, ackEpoch(script, { join: 1, digest: null }));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.alive("FOLLOWING", 2, 5);
    script.passes(10_000);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
    script.returned(5, ack(script, 1, END));
    script.passes(10_000);
    expect(script.peer.role).toBe("LOOKING");
  });

  it("[ZAB-131] is settled by a learner that can compare before the leader broadcasts, if its version can", () => {
    for (const checksEarly of [true, undefined]) {
      const script = leads({ size: 5, voters: [1, 2, 4] });
      for (const sid of [2, 4]) {
        script.returned(sid, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
      }
      // Of a zxid that the leader does not remember; what it has applied since the learner can compare.
      const digest = digestAt(zxid(1, 4));
      script.returned(1, ackEpoch(script, { join: 1, digest, ...(checksEarly && { checksEarly }) }));
      script.take();
      script.returned(1, ack(script, 1, END));
      script.flush();
      expect(script.state).toBe("LEADING/SYNCHRONIZATION");
      const check = { type: "CHECK", join: 1, epoch: asEpoch(2), digest: digestAt(END) };
      expect(script.take(1)).toEqual(checksEarly === true ? [check] : []);
      script.flush();
      expect(script.take(1)).toEqual([]);
      if (checksEarly !== true) continue;
      joins(script, 1, 2);
      script.returned(1, ackEpoch(script, { join: 2, diverged: true, divergedAt: END, digest }));
      expect(script.peer.role).toBe("LOOKING");
      expect(script.storage.meta.needSnap).toBe(true);
    }
  });

  it("[ZAB-131] sends CHECK to a learner that had its history before another learner differed", () => {
    const script = leads({ size: 5, voters: [1, 2, 4] });
    script.returned(4, ackEpoch(script, { join: 1, digest: null }));
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(zxid(1, 4)), checksEarly: true }));
    script.take();
    script.returned(1, ack(script, 1, END));
    script.flush();
    // Nothing is in dispute: it is compared once it serves.
    expect(script.take(1)).toEqual([]);
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.flush();
    expect(script.takeTypes(1)).toEqual(["CHECK"]);
    script.alive("FOLLOWING", 1, 2, 4);
    script.call(1, confirm(script, 1, END));
    script.passes(10_000);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
  });

  it("[ZAB-128] does not make the leader step down if the learner would lose the next election", () => {
    const script = leads({ size: 5, voters: [1, 2] });
    script.returned(1, ackEpoch(script, { join: 1, digest: null }));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.alive("FOLLOWING", 1, 2);
    script.returned(1, ack(script, 1, END));
    script.passes(60_000);
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
  });

  it("[ZAB-120] is compared at a zxid that the leader has not applied yet once the leader has applied it", () => {
    for (const [tree, outcome] of [
      [1, true],
      [7, false],
    ] as const) {
      const script = leads({ voters: [2] });
      const ahead = new Map([[2, digestAt(END, tree)]]);
      script.peer.digest = digestAt(zxid(1, 3));
      for (const [sid, digest] of ahead) {
        script.returned(sid, ackEpoch(script, { join: 1, digest: { ...digest, zxid: zxid(1, 6) } }));
        script.returned(sid, ack(script, 1, END));
      }
      script.take();
      expect(script.peer.proposing?.trusted).toBe(false);
      script.tellDigest({ ...digestAt(END), zxid: zxid(1, 6) });
      expect(script.peer.proposing?.trusted).toBe(outcome);
    }
  });
});

describe("a learner that is found to differ", () => {
  it("[ZAB-91] during a DIFF keeps its own tree after the DIFF", () => {
    const script = broadcasts(3, new Map([[2, digestAt(END)]]));
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(zxid(2, 1), 7) }));
    expect(script.takeTypes(1)).toEqual(DIFF);
    script.tellDigest(digestAt(zxid(2, 1)));
    expect(script.peer.proposing?.trusted).toBe(false);
    script.returned(1, ack(script, 1, END));
    expect(script.peer.proposing?.trusted).toBe(false);
    script.call(2, confirm(script, 1, zxid(2, 1)));
    expect(script.peer.proposing?.trusted).toBe(true);
  });

  it("[ZAB-92] and restarts with an older tree does not end the dispute", () => {
    const script = broadcasts(3, new Map([[2, digestAt(END)]]));
    script.tellDigest(digestAt(zxid(2, 1)));
    script.reboot(2);
    joins(script, 2, 2);
    script.returned(2, ackEpoch(script, { join: 2, digest: digestAt(zxid(2, 1), 7) }));
    expect(script.peer.proposing?.trusted).toBe(false);
    // It crashes, and its last batch is not known there to be committed.
    script.reboot(2);
    joins(script, 2, 3);
    script.returned(2, ackEpoch(script, { join: 3, digest: digestAt(END) }));
    script.returned(2, ack(script, 3, END));
    expect(script.peer.proposing?.trusted).toBe(false);
    script.flush();
    expect(script.takeTypes(2)).toContain("CHECK");
    script.call(2, confirm(script, 3, zxid(2, 1)));
    expect(script.peer.proposing?.trusted).toBe(true);
  });
});

describe("a leader whose tree was not compared", () => {
  it("[ZAB-121] prepares nothing before a quorum has compared it, and sends CHECK for that", () => {
    // The learner's digest is of a zxid that the leader does not remember.
    const script = broadcasts(3, new Map([[2, digestAt(zxid(1, 2))]]));
    expect(script.peer.proposing?.trusted).toBe(false);
    expect(script.peer.proposing?.mayPropose).toBe(false);
    script.flush();
    expect(script.take(2)).toEqual([
      { type: "CHECK", join: 1, epoch: asEpoch(2), digest: digestAt(END) },
    ] satisfies ZabMessage[]);
    script.call(2, confirm(script, 1, END));
    expect(script.peer.proposing?.mayPropose).toBe(true);
    script.flush();
    expect(script.take(2)).toEqual([]);
  });

  it("[ZAB-121] sends no CHECK to a learner whose digest it has compared, and serves at once", () => {
    const script = broadcasts(3, new Map([[2, digestAt(END)]]));
    expect(script.peer.proposing?.mayPropose).toBe(true);
    script.flush();
    expect(script.take(2)).toEqual([]);
  });

  it("[ZAB-121] ignores a confirmation of another stay", () => {
    const script = broadcasts(3, new Map([[2, digestAt(zxid(1, 2))]]));
    script.call(2, confirm(script, 9, END));
    expect(script.peer.proposing?.trusted).toBe(false);
  });

  it("[ZAB-127] serves with learners of a version without confirmations, and replaces no tree because of them", () => {
    const script = broadcasts(3, new Map([[2, undefined]]));
    expect(script.peer.proposing?.mayPropose).toBe(true);
    script.flush();
    expect(script.take(2)).toEqual([]);
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, { join: 1, diverged: true, digest: digestAt(END, 7) }));
    script.flush();
    script.after(5_000);
    expect(script.takeTypes(1)).not.toContain("SNAP");
    expect(script.peer.proposing?.mayPropose).toBe(true);
  });
});

describe("a learner that is up to date", () => {
  const upToDate = { type: "UPTODATE", join: 1, epoch: asEpoch(2), commit: END } as const;

  /** Member 2 joins with this digest. @returns its UPTODATE, and the leader */
  function joined(digest: ReturnType<typeof digestAt> | undefined): { sent: ZabMessage[]; script: Script } {
    const script = leads({ voters: [2] });
    script.returned(2, ackEpoch(script, { join: 1, digest }));
    script.take();
    script.returned(2, ack(script, 1, END));
    return { sent: script.take(2), script };
  }

  it("[ZAB-129] UPTODATE announces a CHECK if, and only if, the leader could not compare the learner's tree", () => {
    expect(joined(digestAt(zxid(1, 2))).sent).toEqual([{ ...upToDate, check: true }]);
    expect(joined(digestAt(END)).sent).toEqual([upToDate]);
    // A version that answers no CHECK is sent none.
    expect(joined(undefined).sent).toEqual([upToDate]);
  });

  it("[ZAB-129] gets that CHECK even if the leader can compare the tree itself in the meantime", () => {
    const script = leads({ voters: [2] });
    script.peer.digest = digestAt(zxid(1, 4));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    script.take();
    script.returned(2, ack(script, 1, END));
    expect(script.take(2)).toEqual([{ ...upToDate, check: true }]);
    script.tellDigest(digestAt(END));
    expect(script.peer.proposing?.trusted).toBe(true);
    script.flush();
    expect(script.takeTypes(2)).toContain("CHECK");
  });

  it("[ZAB-129] UPTODATE announces a CHECK to a learner that rejoins with an older tree than the one that differed", () => {
    const script = broadcasts(3, new Map([[2, digestAt(END)]]));
    script.tellDigest(digestAt(zxid(2, 1)));
    script.reboot(2);
    joins(script, 2, 2);
    script.returned(2, ackEpoch(script, { join: 2, digest: digestAt(zxid(2, 1), 7) }));
    script.reboot(2);
    joins(script, 2, 3);
    script.returned(2, ackEpoch(script, { join: 3, digest: digestAt(END) }));
    script.take();
    script.returned(2, ack(script, 3, END));
    expect(script.take(2)).toContainEqual({ ...upToDate, join: 3, check: true });
  });
});

describe("a learner that was upgraded", () => {
  it("[ZAB-121] [ZAB-127] gets CHECK like any other learner, although its earlier version could not answer it", () => {
    const script = broadcasts(3, new Map([[2, undefined]]));
    expect(script.peer.proposing?.mayPropose).toBe(true);
    script.reboot(2);
    joins(script, 2, 2);
    // Of a zxid that the leader does not remember.
    script.returned(2, ackEpoch(script, { join: 2, digest: digestAt(zxid(1, 2)) }));
    script.returned(2, ack(script, 2, END));
    expect(script.peer.proposing?.trusted).toBe(false);
    script.call(2, confirm(script, 2, END));
    expect(script.peer.proposing?.trusted).toBe(true);
  });
});

describe("a learner that lacks log", () => {
  const lagging = { join: 1, last: START, needSnap: true, digest: null } as const;

  /** Leads with member 2, which has its tree by a SNAP that no quorum had confirmed. */
  function copied(): Script {
    const script = leads({ voters: [2] });
    script.returned(2, ackEpoch(script, lagging));
    script.alive("FOLLOWING", 2);
    script.passes(1_100);
    script.returned(2, staged(script, 1));
    script.returned(2, ack(script, 1, END));
    return script;
  }

  it("[ZAB-122] gets SNAP at once from a leader whose tree a quorum has confirmed", () => {
    const script = leads({ size: 3, voters: [2] });
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, lagging));
    expect(script.takeTypes(1)).toEqual(SNAP);
  });

  it("[ZAB-122] waits one tick for that, and gets SNAP without it if no member differs", () => {
    const script = leads({ voters: [2] });
    script.returned(2, ackEpoch(script, lagging));
    expect(script.take(2)).toEqual([]);
    script.alive("FOLLOWING", 2);
    script.passes(900);
    expect(script.takeTypes(2)).not.toContain("SNAP");
    script.passes(200);
    expect(script.takeTypes(2)).toEqual(expect.arrayContaining(SNAP));
  });

  /** Member 1 has the leader's history and a tree of `treeAt`; member 2 lacks log. */
  function besideOne(treeAt = zxid(1, 4), checksEarly = true): Script {
    const script = leads({ size: 5, voters: [1, 2] });
    const tree = { digest: digestAt(treeAt), ...(checksEarly && { checksEarly }) };
    script.returned(1, ackEpoch(script, { join: 1, ...tree }));
    script.returned(2, ackEpoch(script, lagging));
    script.take();
    for (const sid of [1, 2]) script.alive("FOLLOWING", sid);
    return script;
  }

  it("[ZAB-122] waits until those that have the leader's history have compared", () => {
    for (const isFirst of [true, false]) {
      const script = besideOne();
      if (!isFirst) script.passes(900);
      script.returned(1, ack(script, 1, END));
      script.flush();
      expect(script.takeTypes(1)).toContain("CHECK");
      script.passes(3_000);
      expect(script.takeTypes(2)).not.toContain("SNAP");
      script.call(1, confirm(script, 1, END));
      script.passes(1_100);
      expect(script.takeTypes(2)).toEqual(expect.arrayContaining(SNAP));
    }
  });

  it("[ZAB-122] gets no SNAP if one of them rejoins and reports that it differs", () => {
    const script = besideOne();
    script.returned(1, ack(script, 1, END));
    script.passes(900);
    script.call(1, note(1, { role: "LOOKING", round: 9 }));
    script.passes(900);
    expect(script.takeTypes(2)).not.toContain("SNAP");
    joins(script, 1, 2);
    script.returned(
      1,
      ackEpoch(script, { join: 2, diverged: true, divergedAt: END, digest: digestAt(END, 7) }),
    );
    script.passes(20_000);
    expect(script.takeTypes(2)).not.toContain("SNAP");
  });

  it("[ZAB-122] does not wait for a member that cannot compare, nor without a limit", () => {
    for (const [script, ms] of [
      [besideOne(zxid(1, 4), false), 1_100],
      [besideOne(zxid(1, 6)), 1_100],
      [besideOne(), 8_100],
    ] as const) {
      script.returned(1, ack(script, 1, END));
      script.passes(ms);
      expect(script.takeTypes(2)).toEqual(expect.arrayContaining(SNAP));
    }
  });

  it("[ZAB-121] does not count for its leader before the copy was found equal to the leader's tree in memory", () => {
    const script = copied();
    expect(script.state).toBe("LEADING/BROADCAST");
    expect(script.peer.proposing?.mayPropose).toBe(false);
    script.flush();
    expect(script.takeTypes(2)).toContain("CHECK");
    script.call(2, confirm(script, 1, END));
    expect(script.peer.proposing?.mayPropose).toBe(true);
  });

  it("[ZAB-122] does not count for the leader with its copy once another member differs", () => {
    const script = copied();
    script.call(2, confirm(script, 1, END));
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    expect(script.peer.proposing?.mayPropose).toBe(false);
    expect(script.takeTypes(1)).not.toContain("SNAP");
    // Member 1 has to give its tree up: none is left that differs.
    joins(script, 1, 2);
    script.returned(1, ackEpoch(script, { ...lagging, join: 2 }));
    for (const sid of [1, 2]) script.alive("FOLLOWING", sid);
    script.passes(1_100);
    expect(script.peer.proposing?.mayPropose).toBe(true);
    expect(script.takeTypes(1)).toEqual(expect.arrayContaining(SNAP));
  });

  it("[ZAB-123] does not wait for a member that differed and has lost its memory since", () => {
    const script = leads({ voters: [1, 2] });
    script.returned(1, ackEpoch(script, lagging));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    for (const sid of [1, 2]) script.alive("FOLLOWING", sid);
    script.passes(5_000);
    expect(script.takeTypes(1)).not.toContain("SNAP");
    // It cannot say what it has: before the leader broadcasts, members without memory are offered no epoch.
    script.reboot(2);
    script.call(2, followerInfo(2, 1, false));
    expect(script.takeTypes(2)).not.toContain("LEADERINFO");
    expect(script.takeTypes(1)).toEqual(expect.arrayContaining(SNAP));
  });

  it("[ZAB-130] gets SNAP from a checkpoint that the leader makes once a quorum has its tree, not from an older one", () => {
    const script = new Script({ sid: 3, history: HISTORY, committed: END });
    script.peer.digest = digestAt(zxid(1, 3));
    const changes = new ZnodeTree().takeChanges();
    const retain = { logRetainTxns: 1_000, diffBytesMax: 1_000_000 };
    script.storage.checkpoint({ ...changes, lastApplied: zxid(1, 3) }, retain);
    script.peer.digest = digestAt(END);
    script.start();
    elect(script, 2);
    script.call(2, followerInfo(1, 1));
    script.take();
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, lagging));
    expect(script.take(1)).toMatchObject([{ type: "SNAP", at: { zxid: END } }, { type: "SNAPCHUNK" }]);
    expect(script.storage.meta.checkpoint.zxid).toEqual(END);
  });

  it("[ZAB-130] waits for that checkpoint while the last one is being read for another", () => {
    const script = new Script({ sid: 3, size: 5, history: HISTORY, committed: END });
    const changes = new ZnodeTree().takeChanges();
    const retain = { logRetainTxns: 1_000, diffBytesMax: 1_000_000 };
    script.storage.checkpoint({ ...changes, lastApplied: zxid(1, 3) }, retain);
    script.peer.digest = digestAt(END);
    script.start();
    for (const sid of [1, 2]) elect(script, sid);
    for (const sid of [1, 2]) script.call(sid, followerInfo(1, 1));
    script.take();
    // Nobody contradicts the leader: after a tick member 1 is given what the leader's disk has.
    script.returned(1, ackEpoch(script, lagging));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    for (const sid of [1, 2]) script.alive("FOLLOWING", sid);
    script.passes(1_100);
    expect(script.take(1)).toContainEqual(expect.objectContaining({ type: "SNAP" }));
    expect(script.storage.meta.checkpoint.zxid).toEqual(zxid(1, 3));
    joins(script, 4, 1);
    script.returned(4, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    joins(script, 5, 1);
    script.returned(5, ackEpoch(script, lagging));
    expect(script.takeTypes(5)).toEqual([]);
    script.reboot(1);
    for (const sid of [2, 4, 5]) script.alive("FOLLOWING", sid);
    script.passes(1_100);
    expect(script.take(5)).toContainEqual(
      expect.objectContaining({ type: "SNAP", at: expect.objectContaining({ zxid: END }) }),
    );
  });

  /** Leads member 2, which lacks log, with a checkpoint that a quorum had confirmed in an earlier incarnation. */
  function leadsWithConfirmed(voters: readonly number[], size = 3): Script {
    const script = new Script({ sid: 3, size, history: HISTORY, committed: END });
    const changes = new ZnodeTree().takeChanges();
    const retain = { logRetainTxns: 1_000, diffBytesMax: 1_000_000 };
    script.storage.checkpoint({ ...changes, lastApplied: zxid(1, 3) }, retain, true);
    script.peer.digest = digestAt(END);
    script.start();
    for (const sid of voters) elect(script, sid);
    for (const sid of voters) script.call(sid, followerInfo(1, 1));
    script.take();
    return script;
  }

  it("[ZAB-132] gets SNAP at once from a checkpoint that a quorum had confirmed, and its report counts", () => {
    const script = leadsWithConfirmed([2]);
    script.returned(2, ackEpoch(script, lagging));
    expect(script.take(2)).toMatchObject([{ type: "SNAP", at: { zxid: zxid(1, 3) } }, { type: "SNAPCHUNK" }]);
    script.returned(2, staged(script, 1));
    script.returned(2, staged(script, 1));
    script.returned(2, ack(script, 1, END));
    expect(script.state).toBe("LEADING/BROADCAST");
    script.call(2, confirm(script, 1, END));
    // A member that differs is given SNAP: what member 2 was given is right, so the leader's memory is.
    joins(script, 1, 1);
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    expect(script.takeTypes(1)).toEqual(expect.arrayContaining(SNAP));
  });

  it("[ZAB-132] gets it also while another member differs, and a differing member does not", () => {
    const script = leadsWithConfirmed([1, 2], 5);
    script.returned(1, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.returned(2, ackEpoch(script, lagging));
    script.alive("FOLLOWING", 1, 2);
    expect(script.takeTypes(2)).toEqual(expect.arrayContaining(SNAP));
    script.passes(5_000);
    expect(script.takeTypes(1)).not.toContain("SNAP");
  });

  it("[ZAB-132] learns from PING that a quorum has confirmed the leader's tree, and not before", () => {
    const script = broadcasts(3, new Map([[2, digestAt(zxid(1, 2))]]));
    const ping = (): ZabMessage | undefined => {
      script.take();
      script.alive("FOLLOWING", 2);
      script.passes(1_000);
      return script.take(2).find(({ type }) => type === "PING");
    };
    expect(ping()).not.toHaveProperty("confirmed");
    expect(script.peer.treeConfirmed).toBe(false);
    script.call(2, confirm(script, 1, END));
    expect(ping()).toHaveProperty("confirmed", true);
    expect(script.peer.treeConfirmed).toBe(true);
    expect(script.peer.wantsCheckpoint).toBe(false);
  });

  it("[ZAB-122] gets no further chunk of an unconfirmed tree once another member differs", () => {
    const script = leads({ size: 5, voters: [1, 2] });
    for (const sid of [1, 2]) script.returned(sid, ackEpoch(script, lagging));
    for (const sid of [1, 2]) script.alive("FOLLOWING", sid);
    script.passes(1_100);
    expect(script.takeTypes(1)).toEqual(expect.arrayContaining(SNAP));
    joins(script, 4, 1);
    script.returned(4, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    script.returned(1, staged(script, 1));
    expect(script.takeTypes(1)).not.toContain("NEWLEADER");
  });

  it("[ZAB-122] gets no SNAP while another learner differs from the leader and no quorum has confirmed it", () => {
    const script = leads({ size: 5, voters: [1, 2] });
    script.returned(1, ackEpoch(script, lagging));
    script.returned(2, ackEpoch(script, { join: 1, digest: digestAt(END, 7) }));
    for (const sid of [1, 2]) script.alive("FOLLOWING", sid);
    script.passes(30_000);
    expect(script.takeTypes(1)).not.toContain("SNAP");
    for (const sid of [4, 5]) {
      joins(script, sid, 1);
      script.returned(sid, ackEpoch(script, { join: 1, digest: digestAt(END) }));
    }
    for (const sid of [1, 2]) expect(script.takeTypes(sid)).toEqual(expect.arrayContaining(SNAP));
  });
});

describe("a learner", () => {
  /** Member 1 follows member 3 in broadcast. */
  function serves(digest = digestAt(END), check?: boolean): Script {
    const script = new Script({ sid: 1, history: HISTORY, committed: END });
    script.peer.digest = digest;
    script.start();
    script.call(3, note(3, { role: "LEADING", round: 1, epoch: 1, zxid: END }));
    script.call(2, note(2, { role: "FOLLOWING", leader: 3, round: 1, epoch: 1, zxid: END }));
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    const [reply] = script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(2) });
    expect(reply).toMatchObject({ type: "ACKEPOCH", diverged: false, digest });
    script.call(3, { type: "DIFF", join: 1, epoch: asEpoch(2), from: END });
    script.call(3, { type: "NEWLEADER", join: 1, epoch: asEpoch(2), last: END });
    script.call(3, {
      type: "UPTODATE",
      join: 1,
      epoch: asEpoch(2),
      commit: END,
      ...(check !== undefined && { check }),
    });
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    script.take();
    return script;
  }
  const ping = (sentAt: number): ZabMessage => ({ type: "PING", sentAt, role: "LEADING", join: 1 });

  it("[ZAB-120] reports in its PONG the highest zxid at which it has found the leader's digest equal", () => {
    const script = serves();
    const [before] = script.call(3, ping(1));
    expect(before).not.toHaveProperty("confirmed");
    script.run(script.peer.confirm(script.now, END));
    script.run(script.peer.confirm(script.now, zxid(1, 4)));
    expect(script.take()).toEqual([]);
    const [after] = script.call(3, ping(2));
    expect(after).toMatchObject({ type: "PONG", join: 1, confirmed: END });
    // No other learner is asked: it is no statement about their trees.
    const [other] = script.call(2, { type: "PING", sentAt: 3, role: "FOLLOWING" });
    expect(other).not.toHaveProperty("confirmed");
  });

  it("[ZAB-120] answers a CHECK with CONFIRM once it has found the digest equal", () => {
    const script = serves();
    script.call(3, { type: "CHECK", join: 1, epoch: asEpoch(2), digest: digestAt(END) });
    expect(script.take(3)).toEqual([]);
    script.run(script.peer.confirm(script.now, END));
    expect(script.take(3)).toEqual([{ type: "CONFIRM", join: 1, epoch: asEpoch(2), zxid: END }]);
    script.run(script.peer.confirm(script.now, END));
    expect(script.take(3)).toEqual([]);
  });

  it("[ZAB-132] has a confirmed tree once it is equal at a zxid at which a quorum has confirmed its leader's tree", () => {
    const script = serves();
    const confirmed = { ...ping(1), digest: digestAt(END), confirmed: true } as ZabMessage;
    script.run(script.peer.confirm(script.now, zxid(1, 4)));
    script.call(3, confirmed);
    expect(script.peer.treeConfirmed).toBe(false);
    script.run(script.peer.confirm(script.now, END));
    expect(script.peer.treeConfirmed).toBe(true);
    script.diverge(END);
    expect(script.peer.treeConfirmed).toBe(false);
  });

  it("[ZAB-131] applies up to the zxid of a CHECK before UPTODATE, and not further", () => {
    const script = new Script({ sid: 1, history: HISTORY, committed: zxid(1, 2) });
    script.peer.digest = digestAt(zxid(1, 2));
    script.start();
    script.call(3, note(3, { role: "LEADING", round: 1, epoch: 1, zxid: END }));
    script.call(2, note(2, { role: "FOLLOWING", leader: 3, round: 1, epoch: 1, zxid: END }));
    const [reply] = script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(2) });
    expect(reply).toMatchObject({ type: "ACKEPOCH", checksEarly: true });
    script.call(3, { type: "DIFF", join: 1, epoch: asEpoch(2), from: END });
    script.call(3, { type: "NEWLEADER", join: 1, epoch: asEpoch(2), last: END });
    script.take();
    script.delivered.length = 0;
    const at = zxid(1, 4);
    script.call(3, { type: "CHECK", join: 1, epoch: asEpoch(2), digest: digestAt(at) });
    expect(script.delivered.at(-1)).toBe("1.4");
    expect(script.state).toBe("FOLLOWING/SYNCHRONIZATION");
    script.run(script.peer.confirm(script.now, at));
    expect(script.take(3)).toEqual([{ type: "CONFIRM", join: 1, epoch: asEpoch(2), zxid: at }]);
  });

  it("[ZAB-131] refuses a CHECK before it has its leader's history, and one at a zxid that it does not have", () => {
    for (const [isStaged, at] of [
      [false, END],
      [true, zxid(1, 9)],
    ] as const) {
      const script = new Script({ sid: 1, history: HISTORY, committed: END });
      script.peer.digest = digestAt(END);
      script.start();
      script.call(3, note(3, { role: "LEADING", round: 1, epoch: 1, zxid: END }));
      script.call(2, note(2, { role: "FOLLOWING", leader: 3, round: 1, epoch: 1, zxid: END }));
      script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(2) });
      script.call(3, { type: "DIFF", join: 1, epoch: asEpoch(2), from: END });
      if (isStaged) script.call(3, { type: "NEWLEADER", join: 1, epoch: asEpoch(2), last: END });
      script.call(3, { type: "CHECK", join: 1, epoch: asEpoch(2), digest: digestAt(at) });
      expect(script.peer.role).toBe("LOOKING");
    }
  });

  it("[ZAB-129] serves nothing until it has found the leader's digest equal, if the leader has announced a CHECK", () => {
    for (const check of [undefined, true]) {
      const script = serves(digestAt(END), check);
      expect(script.peer.awaitsComparison).toBe(check === true);
      expect(script.peer.doubtsTree).toBe(check === true);
      script.run(script.peer.confirm(script.now, END));
      expect(script.peer.awaitsComparison).toBe(false);
      expect(script.peer.doubtsTree).toBe(false);
    }
  });

  it("[ZAB-90] reports where its tree differs when it rejoins, and keeps its data until the SNAP", () => {
    const script = serves();
    script.diverge(END);
    expect(script.state).toBe("LOOKING/ELECTION");
    script.call(3, note(3, { role: "LEADING", round: 1, epoch: 2, zxid: END }));
    script.call(2, note(2, { role: "FOLLOWING", leader: 3, round: 1, epoch: 2, zxid: END }));
    const [reply] = script.call(3, { type: "LEADERINFO", join: 2, epoch: asEpoch(2) });
    expect(reply).toMatchObject({ type: "ACKEPOCH", diverged: true, divergedAt: END, last: endOf(HISTORY) });
    expect(script.storage.log.last.zxid).toEqual(END);
  });

  it("[ZAB-123] waits while its leader reports that no quorum has confirmed a tree, and reports the reason", () => {
    const script = new Script({ sid: 1, history: HISTORY, committed: END });
    script.peer.digest = digestAt(END);
    script.start();
    script.call(3, note(3, { role: "LEADING", round: 1, epoch: 1, zxid: END }));
    script.call(3, { type: "LEADERINFO", join: 1, epoch: asEpoch(2) });
    script.alive("LEADING", 3);
    for (let i = 0; i < 40; i++) {
      script.passes(1_000);
      script.call(3, { ...ping(i), disputed: true } as ZabMessage);
    }
    expect(script.state).toBe("FOLLOWING/SYNCHRONIZATION");
    expect(script.peer.reason).toContain("no quorum has confirmed either");
    script.call(3, { type: "DIFF", join: 1, epoch: asEpoch(2), from: END });
    script.call(3, { type: "NEWLEADER", join: 1, epoch: asEpoch(2), last: END });
    script.call(3, { type: "UPTODATE", join: 1, epoch: asEpoch(2), commit: END });
    expect(script.peer.reason).toBe("");
  });
});
