import { describe, expect, it } from "vitest";
import { zxid } from "../../../core/zab/zxid.ts";
import {
  ackEpoch,
  elect,
  endOf,
  entriesOf,
  followerInfo,
  leading,
  note,
  proposal,
  Script,
  START,
} from "../../sim/script.ts";

const HISTORY = entriesOf(START, [1, 1, 3], [1, 4, 2]);

describe("a member that starts", () => {
  it("[ZAB-31] votes for itself with the end of its log and sends the vote to all", () => {
    const script = new Script({ sid: 2, size: 5, history: HISTORY }).start();
    expect(script.state).toBe("LOOKING/ELECTION");
    expect(script.sent.map(({ to }) => to)).toEqual([1, 3, 4, 5]);
    for (const { message } of script.sent) {
      expect(message).toMatchObject({
        type: "NOTIFICATION",
        role: "LOOKING",
        round: 1,
        vote: { leader: 2, epoch: 1, zxid: zxid(1, 5) },
        acceptedEpoch: 1,
        initialized: true,
      });
    }
  });

  it("[ZAB-16] refuses a storage that contradicts itself", () => {
    expect(() => new Script({ history: HISTORY, currentEpoch: 5, acceptedEpoch: 4 })).toThrow("currentEpoch");
    expect(() => new Script({ history: entriesOf(START, [3, 1, 1]), currentEpoch: 2 })).toThrow(
      "currentEpoch",
    );
  });

  it("[ZAB-17] applies up to the commit index of its log; the rest waits for a leader", () => {
    const script = new Script({ history: HISTORY, committed: zxid(1, 2) }).start();
    expect(script.peer.lastProcessedZxid).toEqual(zxid(1, 2));
    expect(script.tail).toBe("1.5");
    expect(script.delivered).toEqual([]);
  });

  it("[ZAB-82] counts its incarnations", () => {
    const script = new Script({ history: HISTORY }).start();
    expect(script.storage.meta.boot).toBe(1);
    script.restart();
    script.restart();
    expect(script.storage.meta.boot).toBe(3);
  });
});

describe("an election", () => {
  it("[ZAB-37] answers every vote with its own, so that one call to each peer is enough", () => {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    const better = { epoch: 1, zxid: zxid(1, 5) };
    expect(script.call(2, note(2, better))).toMatchObject([{ type: "NOTIFICATION", vote: { leader: 2 } }]);
    expect(script.call(3, note(3, { ...better, round: 0 }))).toMatchObject([
      { vote: { leader: 2 }, round: 1 },
    ]);
  });

  it("[ZAB-33] waits briefly for a better vote, and not once every peer has answered", () => {
    const script = new Script({ sid: 3, history: HISTORY }).start();
    script.call(1, note(1, { leader: 3, epoch: 1, zxid: zxid(1, 5) }));
    expect(script.state).toBe("LOOKING/ELECTION");
    script.after(59);
    expect(script.state).toBe("LOOKING/ELECTION");
    script.after(1);
    expect(script.state).toBe("LEADING/DISCOVERY");
    const quick = new Script({ sid: 3, history: HISTORY }).start();
    quick.call(1, note(1, { leader: 3, epoch: 1, zxid: zxid(1, 5) }));
    quick.broken(2);
    expect(quick.state).toBe("LEADING/DISCOVERY");
  });

  it("[ZAB-33] adopts a better vote that arrives while it waits", () => {
    const script = new Script({ sid: 2, history: HISTORY }).start();
    script.call(1, note(1, { leader: 2, epoch: 1, zxid: zxid(1, 5) }));
    script.after(50);
    script.call(3, note(3, { epoch: 1, zxid: zxid(1, 9) }));
    script.after(100);
    expect(script.peer.leader).toBe(3);
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
  });

  it("[ZAB-38] repeats its vote, less and less often, until a peer answers", () => {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    const sendings: number[] = [];
    script.take();
    for (let i = 0; i < 50; i++) {
      script.after(100);
      if (script.takeTypes(2).includes("NOTIFICATION")) sendings.push(script.now - 10_000);
    }
    expect(sendings.slice(0, 4)).toEqual([100, 300, 700, 1500]);
    expect((sendings.at(-1) ?? 0) - (sendings.at(-2) ?? 0)).toBe(1000);
  });

  it("[ZAB-34] joins an established leader without an election", () => {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    script.returned(3, note(3, { role: "LEADING", epoch: 4, zxid: zxid(4, 9), round: 6 }));
    expect(script.state).toBe("FOLLOWING/DISCOVERY");
    expect(script.peer.leader).toBe(3);
    expect(script.takeTypes(3).at(-1)).toBe("FOLLOWERINFO");
  });

  it("[ZAB-37] answers a LOOKING peer with its leader", () => {
    const script = leading({ history: HISTORY });
    expect(script.call(1, note(1))).toMatchObject([
      { type: "NOTIFICATION", role: "LEADING", vote: { leader: 3, epoch: 2 } },
    ]);
    expect(script.call(1, note(1, { role: "FOLLOWING", leader: 2 }))).toEqual([]);
  });

  it("[ZAB-58] answers FOLLOWERINFO with its own state if it does not lead", () => {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    expect(script.call(2, followerInfo(1, 1))).toMatchObject([{ type: "NOTIFICATION", role: "LOOKING" }]);
  });
});

describe("two leaders elected in elections that crossed", () => {
  const elected = (): Script => {
    const script = new Script({ sid: 3, size: 5, history: HISTORY }).start();
    for (const sid of [1, 2]) elect(script, sid);
    script.passes(100);
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.take();
    return script;
  };

  it("[ZAB-97] the one that no quorum follows steps down as soon as it learns that", () => {
    const script = elected();
    script.returned(5, note(5, { role: "LEADING", leader: 5 }));
    script.returned(1, note(1, { role: "FOLLOWING", leader: 5 }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    script.returned(2, note(2, { role: "FOLLOWING", leader: 5 }));
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-97] the one that only the other contradicts continues, so that they do not alternate", () => {
    const script = elected();
    script.call(5, note(5, { role: "LEADING", leader: 5 }));
    script.call(1, note(1, { role: "FOLLOWING", leader: 5 }));
    script.call(1, note(1, { role: "LOOKING", leader: 1 }));
    script.call(2, note(2, { role: "FOLLOWING", leader: 5 }));
    expect(script.state).toBe("LEADING/DISCOVERY");
  });

  it("[ZAB-97] the one with a quorum continues, and answers the other", () => {
    const script = leading({ history: HISTORY });
    expect(script.call(1, note(1, { role: "LEADING", leader: 1 }))).toMatchObject([
      { type: "NOTIFICATION", role: "LEADING", vote: { leader: 3 } },
    ]);
    expect(script.state).toBe("LEADING/BROADCAST");
  });
});

describe("founding", () => {
  const blank = (sid: number): Script => new Script({ sid, founding: true }).start();

  it("[ZAB-36] makes a vote count once all others have answered that they never promised an epoch", () => {
    const script = blank(3);
    script.returned(1, note(1, { leader: 3, founding: true }));
    expect(script.storage.meta.initialized).toBe(false);
    script.returned(2, note(2, { leader: 3, founding: true }));
    expect(script.storage.meta.initialized).toBe(true);
    expect(script.take(1).at(-1)).toMatchObject({ type: "NOTIFICATION", initialized: true });
    script.call(1, note(1, { leader: 3 }));
    script.passes(100);
    expect(script.state).toBe("LEADING/DISCOVERY");
  });

  it("[ZAB-36] does not happen while one member is silent, or knows of an epoch (ZOOKEEPER-261)", () => {
    const silent = blank(3);
    silent.returned(1, note(1, { leader: 3, founding: true }));
    silent.broken(2);
    silent.passes(60_000);
    expect(silent.storage.meta.initialized).toBe(false);
    expect(silent.state).toBe("LOOKING/ELECTION");
    const known = blank(3);
    known.returned(1, note(1, { leader: 3, founding: true }));
    known.returned(2, note(2, { leader: 3, acceptedEpoch: 1 }));
    known.passes(60_000);
    expect(known.storage.meta.initialized).toBe(false);
  });

  it("[ZAB-36] does not count a call as an answer: it may have been sent before the memory was lost", () => {
    const script = blank(3);
    script.call(1, note(1, { leader: 3 }));
    script.call(2, note(2, { leader: 3 }));
    expect(script.storage.meta.initialized).toBe(false);
  });

  it("[ZAB-35] is not needed by a member that an ensemble has synchronised", () => {
    const script = blank(1);
    script.returned(2, note(2, { role: "FOLLOWING", leader: 3, epoch: 1, zxid: zxid(1, 5), boots: [] }));
    script.returned(3, note(3, { role: "LEADING", epoch: 1, zxid: zxid(1, 5), boots: [] }));
    expect(script.take(3).at(-1)).toMatchObject({ type: "FOLLOWERINFO", initialized: false });
    const E1 = script.peer.acceptedEpoch + 1;
    script.call(3, { type: "LEADERINFO", join: 1, epoch: E1 as never });
    script.call(3, { type: "DIFF", join: 1, epoch: E1 as never, from: zxid(0, 0) });
    script.call(3, { type: "NEWLEADER", join: 1, epoch: E1 as never, last: zxid(0, 0) });
    expect(script.storage.meta.initialized).toBe(true);
  });
});

describe("a member that lost its memory", () => {
  const wiped = (options: { size?: number } = {}): Script =>
    new Script({ sid: 1, initialized: false, ...options }).start();
  const settled = { epoch: 3, zxid: zxid(3, 5), boots: [] };

  it("[ZAB-112] does not found an ensemble even if all others are new, because it is not", () => {
    const script = wiped();
    script.returned(2, note(2, { founding: true }));
    script.returned(3, note(3, { founding: true }));
    script.passes(60_000);
    expect(script.storage.meta.initialized).toBe(false);
    expect(script.state).toBe("LOOKING/ELECTION");
    const single = wiped({ size: 1 });
    single.passes(60_000);
    expect(single.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-112] keeps others from a founding, because it shows that there was one", () => {
    const script = new Script({ sid: 3, founding: true }).start();
    script.returned(1, note(1, { initialized: false }));
    script.returned(2, note(2, { founding: true }));
    expect(script.storage.meta.initialized).toBe(false);
  });

  it("[ZAB-111] follows no leader before a majority has recorded its new incarnation, and promises no lower epoch than they did", () => {
    const script = wiped();
    script.call(2, note(2, { role: "FOLLOWING", leader: 3, ...settled }));
    script.call(3, note(3, { role: "LEADING", ...settled }));
    script.returned(3, note(3, { role: "LEADING", ...settled }));
    expect(script.state).toBe("LOOKING/ELECTION");
    script.returned(2, note(2, { role: "FOLLOWING", leader: 3, ...settled, acceptedEpoch: 5 }));
    expect(script.peer.leader).toBe(3);
    expect(script.take(3).at(-1)).toMatchObject({
      type: "FOLLOWERINFO",
      acceptedEpoch: 5,
      initialized: false,
    });
    expect(script.storage.meta.acceptedEpoch).toBe(5);
    // An older leader has nothing to offer: what this member may have promised is above it.
    expect(script.call(3, { type: "LEADERINFO", join: 1, epoch: 4 as never })).toEqual([]);
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-111] does not count the answer of another member without memory", () => {
    const script = wiped();
    script.returned(2, note(2, { role: "FOLLOWING", leader: 3, ...settled, initialized: false }));
    script.returned(3, note(3, { role: "LEADING", ...settled }));
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-111] is answered once its incarnation is stored durably, with all incarnations seen", () => {
    const script = new Script({ sid: 2, history: HISTORY }).start();
    script.callAs(3, { boot: 7 }, note(3));
    expect(script.storage.meta.peerBoots).toEqual([]);
    const [answer] = script.callAs(1, { boot: 9 }, note(1, { initialized: false }));
    expect(answer).toMatchObject({ type: "NOTIFICATION", boots: [9, 0, 7] });
    expect(script.storage.meta.peerBoots).toEqual([9, 0, 7]);
  });
});

describe("an old copy of a member's storage", () => {
  it("[ZAB-113] is refused by all that have seen a later incarnation, after their own restart too", () => {
    const script = new Script({ sid: 2, history: HISTORY }).start();
    script.callAs(3, { boot: 5 }, note(3, { initialized: false }));
    expect(script.callAs(3, { boot: 4 }, note(3))).toEqual([{ type: "OUTDATED", boot: 5 }]);
    expect(script.peer.accepted).toBe(false);
    script.restart();
    expect(script.callAs(3, { boot: 4 }, note(3))).toEqual([{ type: "OUTDATED", boot: 5 }]);
    expect(script.callAs(3, { boot: 5 }, note(3))).toMatchObject([{ type: "NOTIFICATION" }]);
    script.returnedAs(3, { boot: 4 }, note(3));
    expect(script.peer.accepted).toBe(false);
  });

  it("[ZAB-114] makes it a member without memory once it learns of its later incarnation, and its next one has a higher number", () => {
    const script = new Script({ sid: 1, history: HISTORY, durable: false }).start();
    script.returned(2, { type: "OUTDATED", boot: 8 });
    expect(script.storage.meta).toMatchObject({ initialized: false, boot: 8 });
    expect(script.ended).toBe(false);
    // Nothing is sent by an incarnation that is over.
    script.take();
    expect(script.call(3, note(3))).toEqual([]);
    script.after(10_000);
    expect(script.take()).toEqual([]);
    expect(script.peer.deadline).toBe(Number.POSITIVE_INFINITY);
    script.sync();
    expect(script.ended).toBe(true);
    script.restart();
    expect(script.peer.boot).toBe(9);
    expect(script.take(2)).toMatchObject([{ initialized: false, vote: { leader: 1, epoch: 0 } }]);
    expect(script.tail).toBe("1.5");
  });

  it("[ZAB-114] is not ended by a message of an earlier incarnation of itself", () => {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    script.restart();
    script.returned(2, { type: "OUTDATED", boot: 2 });
    script.call(2, { type: "OUTDATED", boot: 9 });
    expect(script.storage.meta.initialized).toBe(true);
  });

  it("[ZAB-115] made promises that do not count beside that of a member that has seen a later incarnation", () => {
    const script = new Script({ sid: 5, size: 5, history: HISTORY }).start();
    for (const from of [1, 2]) elect(script, from);
    script.passes(100);
    for (const from of [1, 2]) script.call(from, followerInfo(1, 1));
    expect(script.peer.acceptedEpoch).toBe(2);
    script.returned(1, ackEpoch(script, { join: 1 }));
    script.returned(2, ackEpoch(script, { join: 1, boots: [2, 0, 0, 0, 0] }));
    expect(script.state).toBe("LEADING/DISCOVERY");
    expect(script.peer.currentEpoch).toBe(1);
    script.call(3, followerInfo(1, 1));
    script.returned(3, ackEpoch(script, { join: 1 }));
    expect(script.state).toBe("LEADING/SYNCHRONIZATION");
  });
});

describe("a link", () => {
  /** Follows 3 in broadcast. */
  function serving(): Script {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    script.call(3, note(3, { epoch: 1, zxid: zxid(1, 5) }));
    script.passes(100);
    const epoch = 2 as never;
    script.call(3, { type: "LEADERINFO", join: 1, epoch });
    script.call(3, { type: "DIFF", join: 1, epoch, from: zxid(1, 5) });
    script.call(3, { type: "NEWLEADER", join: 1, epoch, last: zxid(1, 5) });
    script.call(3, { type: "UPTODATE", join: 1, epoch, commit: zxid(1, 5) });
    script.take();
    return script;
  }
  const [next] = entriesOf(endOf(HISTORY), [2, 1, 1]);
  if (next === undefined) throw new Error("there is one");

  it("[ZAB-86] accepts a call once", () => {
    const script = serving();
    const call = proposal(1, 2, endOf(HISTORY), next);
    expect(script.callAs(3, { seq: 5 }, call).map(({ type }) => type)).toEqual(["ACK"]);
    expect(script.callAs(3, { seq: 5 }, call)).toEqual([]);
    expect(script.callAs(3, { seq: 2 }, call)).toEqual([]);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    expect(script.peer.accepted).toBe(false);
  });

  it("[ZAB-86] ends the stay with the leader at a missing call", () => {
    const script = serving();
    script.lose(3);
    script.call(3, { type: "PING", sentAt: 0, role: "LEADING", join: 1 });
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-86] ends the stay of a learner at a missing call", () => {
    const script = leading({ history: HISTORY });
    script.lose(2);
    script.call(2, { type: "PING", sentAt: 0, role: "FOLLOWING" });
    expect(script.left).toEqual([2]);
    expect(script.peer.activeSet).toEqual([3]);
  });

  it("[ZAB-87] of a new generation ends the stays of the old one, and the old one is not used again", () => {
    const script = leading({ history: HISTORY });
    script.reconnect(2);
    script.call(2, { type: "PING", sentAt: 0, role: "FOLLOWING" });
    expect(script.left).toEqual([2]);
    script.callAs(2, { generation: 1, seq: 9 }, followerInfo(5, 2));
    expect(script.peer.accepted).toBe(false);
    expect(script.peer.proposing?.joinOf(2 as never)).toBeUndefined();
  });

  it("[ZAB-87] of a new incarnation ends the stays of the earlier one, whose messages count no more", () => {
    const script = leading({ history: HISTORY });
    script.reboot(2);
    script.call(2, followerInfo(1, 2));
    expect(script.left).toEqual([2]);
    expect(script.takeTypes(2)).toContain("LEADERINFO");
    script.callAs(2, { boot: 1, generation: 9, seq: 0 }, followerInfo(7, 2));
    expect(script.peer.accepted).toBe(false);
    expect(script.peer.proposing?.joinOf(2 as never)).toBe(1);
  });

  it("[ZAB-87] ignores the return of an earlier incarnation (same stay number, other promise)", () => {
    const script = leading({ history: HISTORY });
    script.propose(2, 1);
    script.reboot(2);
    script.call(2, followerInfo(1, 2));
    const ackEpoch = {
      type: "ACKEPOCH" as const,
      join: 1,
      epoch: script.peer.acceptedEpoch,
      currentEpoch: script.peer.currentEpoch,
      counted: true,
      last: endOf(HISTORY),
      needSnap: false,
      diverged: false,
      boots: [],
    };
    script.take();
    script.returnedAs(2, { boot: 1 }, ackEpoch);
    expect(script.take(2)).toEqual([]);
    script.returnedAs(2, { boot: 2 }, ackEpoch);
    expect(script.takeTypes(2)).toEqual(["DIFF", "PROPOSAL", "NEWLEADER"]);
  });

  it("[ZAB-88] that breaks is replaced: returns over the old one count no more", () => {
    const script = leading({ history: HISTORY });
    script.propose(2, 1);
    script.broken(2);
    script.returnedAs(
      2,
      { generation: 1 },
      { type: "ACK", join: 1, epoch: script.peer.acceptedEpoch, zxid: zxid(2, 1), patienceMs: 0 },
    );
    expect(script.peer.lastCommittedZxid).toEqual(zxid(1, 5));
    expect(script.peer.links.get(2 as never)?.generation).toBe(2);
    script.broken(2, 1);
    expect(script.peer.links.get(2 as never)?.generation).toBe(2);
  });

  it("[ZAB-88] is broken by a peer that answers no PING for syncLimit ticks", () => {
    const script = new Script({ sid: 1, history: HISTORY }).start();
    script.alive("LOOKING", 2);
    script.passes(5_000);
    expect(script.peer.links.get(2 as never)?.generation).toBe(1);
    expect(script.peer.links.get(3 as never)?.generation).toBeGreaterThan(1);
    expect(script.peer.links.get(2 as never)?.up).toBe(true);
  });

  it("[ZAB-89] reports the round trip of a PING, and the time of a peer's last message", () => {
    const script = leading({ history: HISTORY });
    script.alive("LOOKING", 1);
    script.take();
    script.after(1_000);
    const [ping] = script.take(1).filter(({ type }) => type === "PING");
    expect(ping).toMatchObject({ type: "PING", role: "LEADING" });
    script.now += 7;
    const sentAt = ping?.type === "PING" ? ping.sentAt : 0;
    script.returned(1, { type: "PONG", sentAt, role: "LOOKING" });
    expect(script.peer.links.get(1 as never)).toMatchObject({ rttMs: 7, heardAt: script.now });
  });

  it("[ZAB-86] of an unknown sender is refused", () => {
    const script = leading({ history: HISTORY });
    expect(script.callAs(8, {}, note(8))).toEqual([]);
    expect(script.callAs(3, {}, note(3))).toEqual([]);
    expect(script.state).toBe("LEADING/BROADCAST");
  });

  it("[ZAB-57] carries an outdated role in a return: a stay in broadcast does not end because of it", () => {
    const script = serving();
    script.returned(3, note(3, { role: "LOOKING", epoch: 1 }));
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    script.call(3, note(3, { role: "LOOKING", epoch: 1 }));
    expect(script.state).toBe("LOOKING/ELECTION");
  });

  it("[ZAB-84] reports in a PONG that the leader no longer leads", () => {
    const script = serving();
    script.alive("LEADING", 3);
    script.passes(1_500);
    expect(script.state).toBe("FOLLOWING/BROADCAST");
    script.alive("LOOKING", 3);
    script.passes(1_500);
    expect(script.state).not.toBe("FOLLOWING/BROADCAST");
  });
});

describe("traces", () => {
  it("[ZAB-89] are made only while there is a listener", () => {
    const script = new Script({ sid: 1, size: 1, history: HISTORY });
    script.peer.tracing = false;
    script.start();
    expect(script.traced).toEqual([]);
    const watched = new Script({ sid: 1, size: 1, history: HISTORY }).start();
    for (const type of ["vote", "role", "epoch", "commit"]) expect(watched.traced, type).toContain(type);
  });
});
