import { describe, expect, it } from "vitest";
import { compareVotes, Election } from "../../../core/zab/election.ts";
import { asSid, foundingMembership } from "../../../core/zab/membership.ts";
import type { Vote } from "../../../core/zab/messages.ts";
import { MajorityQuorum } from "../../../core/zab/quorum-verifier.ts";
import { asEpoch, zxid } from "../../../core/zab/zxid.ts";
import { note } from "../../sim/script.ts";

const vote = (leader: number, epoch = 0, counter = 0, last = zxid(epoch, counter)): Vote => ({
  leader: asSid(leader),
  epoch: asEpoch(epoch),
  zxid: last,
});

function election(
  options: { self?: number; size?: number; round?: number; initialized?: boolean; epoch?: number } = {},
) {
  const { self = 1, size = 3, round = 1, initialized = true, epoch = 0 } = options;
  const quorum = new MajorityQuorum(foundingMembership(size));
  return new Election(asSid(self), quorum, vote(self, epoch), round, initialized);
}

describe("the order of candidates", () => {
  it("[ZAB-30] is epoch, then zxid, then sid", () => {
    const ascending = [
      vote(9, 0),
      vote(1, 1, 1),
      vote(2, 1, 1),
      vote(1, 1, 7),
      // A higher epoch wins over a longer log of a lower one.
      vote(1, 2, 0, zxid(1, 2)),
      vote(1, 2, 1),
    ];
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) expect(Math.sign(compareVotes(a, b))).toBe(Math.sign(i - j));
    }
  });
});

describe("an election", () => {
  it("[ZAB-31] begins with the member's vote for itself, which is a quorum only in an ensemble of one", () => {
    expect(election().vote).toEqual(vote(1));
    expect(election().hasQuorum).toBe(false);
    expect(election({ size: 1 }).hasQuorum).toBe(true);
    expect(election({ size: 1 }).allAnswered).toBe(true);
  });

  it("[ZAB-31] adopts a better vote and sends it; keeps its own against a worse one", () => {
    const mine = election({ self: 2 });
    expect(mine.receive(asSid(1), note(1), false)).toBe(false);
    expect(mine.vote.leader).toBe(2);
    expect(mine.receive(asSid(3), note(3), false)).toBe(true);
    expect(mine.vote.leader).toBe(3);
    expect(mine.receive(asSid(3), note(3), false)).toBe(false);
  });

  it("[ZAB-31] is decided by a quorum of equal votes", () => {
    const mine = election({ self: 1, size: 5 });
    mine.receive(asSid(5), note(5), false);
    expect(mine.hasQuorum).toBe(false);
    mine.receive(asSid(2), note(2), false);
    expect(mine.hasQuorum).toBe(false);
    mine.receive(asSid(2), note(2, { leader: 5 }), false);
    expect(mine.hasQuorum).toBe(true);
    expect(mine.vote.leader).toBe(5);
    // A member that changes its mind is no longer counted for what it said before.
    mine.receive(asSid(2), note(2, { leader: 5, zxid: zxid(0, 9) }), false);
    expect(mine.hasQuorum).toBe(false);
  });

  it("[ZAB-31] counts votes for one candidate with different histories separately", () => {
    const mine = election({ self: 3 });
    mine.receive(asSid(1), note(1, { leader: 3, epoch: 0, zxid: zxid(0, 0) }), false);
    expect(mine.hasQuorum).toBe(true);
    const other = election({ self: 3, epoch: 1 });
    other.receive(asSid(1), note(1, { leader: 3 }), false);
    expect(other.hasQuorum).toBe(false);
  });

  it("[ZAB-32] enters a higher electionEpoch with its own vote, and discards the votes of the lower one", () => {
    const mine = election({ self: 1, size: 5 });
    mine.receive(asSid(4), note(4), false);
    mine.receive(asSid(5), note(5), false);
    mine.receive(asSid(4), note(4, { leader: 5 }), false);
    expect(mine.hasQuorum).toBe(true);
    expect(mine.receive(asSid(2), note(2, { round: 7 }), false)).toBe(true);
    expect(mine.electionEpoch).toBe(7);
    expect(mine.vote.leader).toBe(2);
    expect(mine.hasQuorum).toBe(false);
    expect(mine.allAnswered).toBe(false);
  });

  it("[ZAB-32] ignores votes of a lower electionEpoch", () => {
    const mine = election({ self: 1, round: 5 });
    expect(mine.receive(asSid(3), note(3, { round: 4 }), false)).toBe(false);
    expect(mine.vote.leader).toBe(1);
    expect(mine.electionEpoch).toBe(5);
  });

  it("[ZAB-33] waits for no further vote once every peer has answered or refuses calls", () => {
    const mine = election({ self: 3 });
    mine.receive(asSid(1), note(1, { leader: 3 }), false);
    expect(mine.hasQuorum).toBe(true);
    expect(mine.allAnswered).toBe(false);
    mine.markUnreachable(asSid(2));
    expect(mine.allAnswered).toBe(true);
    mine.receive(asSid(2), note(2, { round: 0 }), false);
    expect(mine.allAnswered).toBe(false);
  });

  it("[ZAB-33] removes the vote of a member that has failed", () => {
    const mine = election({ self: 3 });
    mine.receive(asSid(1), note(1, { leader: 3 }), false);
    mine.markUnreachable(asSid(1));
    expect(mine.hasQuorum).toBe(false);
  });

  it("[ZAB-34] joins an established leader: it claims to lead, and a quorum follows it, this member included", () => {
    const mine = election({ self: 1, size: 5 });
    mine.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 4, round: 3, epoch: 2 }), false);
    mine.receive(asSid(3), note(3, { role: "FOLLOWING", leader: 4, round: 1, epoch: 2 }), false);
    expect(mine.establishedLeader()).toBeUndefined();
    mine.receive(asSid(4), note(4, { role: "LEADING", round: 3, epoch: 1 }), false);
    expect(mine.establishedLeader()).toBe(4);
  });

  it("[ZAB-34] does not follow a peer that no other peer follows, nor one that does not claim to lead", () => {
    const alone = election({ self: 1, size: 5 });
    alone.receive(asSid(4), note(4, { role: "LEADING" }), false);
    expect(alone.establishedLeader()).toBeUndefined();
    const rumour = election({ self: 1, size: 3 });
    rumour.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3 }), false);
    expect(rumour.establishedLeader()).toBeUndefined();
    const gone = election({ self: 1, size: 3 });
    gone.receive(asSid(3), note(3, { role: "LEADING" }), false);
    gone.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3 }), false);
    gone.markUnreachable(asSid(3));
    expect(gone.establishedLeader()).toBeUndefined();
  });

  it("[ZAB-34] no longer counts a member as following once that is LOOKING again", () => {
    const mine = election({ self: 1, size: 3 });
    mine.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3 }), false);
    mine.receive(asSid(2), note(2), false);
    mine.receive(asSid(3), note(3, { role: "LEADING" }), false);
    expect(mine.establishedLeader()).toBe(3);
    const five = election({ self: 1, size: 5 });
    five.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3 }), false);
    five.receive(asSid(3), note(3, { role: "LEADING" }), false);
    expect(five.establishedLeader()).toBe(3);
    five.receive(asSid(2), note(2), false);
    expect(five.establishedLeader()).toBeUndefined();
  });

  it("[ZAB-102] counts a peer that already follows as a vote of this electionEpoch", () => {
    const mine = election({ self: 3, size: 5, round: 2 });
    mine.receive(asSid(1), note(1, { role: "FOLLOWING", leader: 3, round: 2, epoch: 7 }), true);
    mine.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3, round: 1 }), true);
    expect(mine.hasQuorum).toBe(false);
    mine.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 4, round: 2 }), true);
    expect(mine.hasQuorum).toBe(false);
    mine.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3, round: 2, initialized: false }), true);
    expect(mine.hasQuorum).toBe(false);
    mine.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3, round: 2 }), true);
    expect(mine.hasQuorum).toBe(true);
    mine.markUnreachable(asSid(2));
    expect(mine.hasQuorum).toBe(false);
  });

  it("[ZAB-102] does not withdraw a vote because of a return that was sent before it", () => {
    const mine = election({ self: 3, round: 2 });
    mine.receive(asSid(1), note(1, { leader: 3, round: 2 }), false);
    mine.receive(asSid(1), note(1, { role: "FOLLOWING", leader: 2, round: 1 }), true);
    expect(mine.hasQuorum).toBe(true);
    mine.receive(asSid(1), note(1, { role: "FOLLOWING", leader: 2, round: 2 }), true);
    expect(mine.hasQuorum).toBe(false);
  });

  it("[ZAB-35] counts no vote of a member without memory, not even its own", () => {
    const mine = election({ self: 3, size: 3 });
    mine.receive(asSid(1), note(1, { leader: 3, initialized: false }), false);
    expect(mine.hasQuorum).toBe(false);
    const blank = election({ self: 3, size: 5, initialized: false });
    blank.receive(asSid(5), note(5), false);
    blank.receive(asSid(1), note(1, { leader: 5 }), false);
    expect(blank.hasQuorum).toBe(false);
    blank.receive(asSid(2), note(2, { leader: 5 }), false);
    expect(blank.hasQuorum).toBe(true);
  });

  it("[ZAB-110] elects no member without memory, and adopts none of its votes", () => {
    const blank = election({ self: 3, size: 3, initialized: false });
    blank.receive(asSid(1), note(1, { leader: 3 }), false);
    blank.receive(asSid(2), note(2, { leader: 3 }), false);
    expect(blank.hasQuorum).toBe(false);
    const mine = election({ self: 1, size: 3 });
    expect(mine.receive(asSid(3), note(3, { zxid: zxid(9, 9), epoch: 9, initialized: false }), true)).toBe(
      false,
    );
    expect(mine.vote.leader).toBe(1);
  });

  it("[ZAB-35] lets a member without memory follow only a leader that has a quorum without it", () => {
    const blank = election({ self: 1, size: 3, initialized: false });
    blank.receive(asSid(3), note(3, { role: "LEADING", epoch: 1 }), false);
    expect(blank.establishedLeader()).toBeUndefined();
    blank.receive(asSid(2), note(2, { role: "FOLLOWING", leader: 3, epoch: 1 }), false);
    expect(blank.establishedLeader()).toBe(3);
  });

  it("[ZAB-36] is a founding only when every other member answers that it never promised anything", () => {
    const blank = election({ self: 1, size: 3, initialized: false });
    blank.receive(asSid(2), note(2, { founding: true }), true);
    expect(blank.othersPristine).toBe(false);
    blank.receive(asSid(3), note(3, { founding: true }), true);
    expect(blank.othersPristine).toBe(true);
    blank.receive(asSid(3), note(3, { acceptedEpoch: 1 }), false);
    expect(blank.othersPristine).toBe(false);
  });

  it("[ZAB-36] does not count an answer that may have been in flight for long", () => {
    const blank = election({ self: 1, size: 3, initialized: false });
    blank.receive(asSid(2), note(2), false);
    blank.receive(asSid(3), note(3), true);
    expect(blank.othersPristine).toBe(false);
  });
});
