/** Which sets of members are a quorum. */
import type { Membership, Sid } from "./membership.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/**
 * Decides what a quorum is.
 * Invariant: any two quorums have a participant in common. A membership with two configurations (a reconfiguration under
 * way) needs another implementation, and no change of its users.
 *
 * @source ZooKeeper QuorumVerifier; etcd-raft quorum.AckedIndexer
 */
export interface QuorumVerifier {
  /** sids that vote, ascending */
  readonly participants: readonly Sid[];
  /** Whether these sids include a quorum. Each counts once, and only if it is a participant. */
  contains(sids: Iterable<Sid>): boolean;
  /**
   * The highest zxid that a quorum has acknowledged; {@link ZXID_ZERO} if fewer peers have acknowledged anything.
   * @param acked map sid → highest zxid that is durable there; cumulative, so an entry's ack covers all before it. Only
   * participants count
   */
  highestAcked(acked: ReadonlyMap<Sid, Zxid>): Zxid;
}

/** More than half of the participants of one membership. @source ZooKeeper QuorumMaj */
export class MajorityQuorum implements QuorumVerifier {
  readonly participants: readonly Sid[];
  readonly #participants: ReadonlySet<Sid>;
  /** the least number of participants that is a quorum */
  readonly majority: number;

  constructor(membership: Membership) {
    this.participants = membership.participants;
    this.#participants = new Set(membership.participants);
    this.majority = Math.floor(membership.participants.length / 2) + 1;
  }

  contains(sids: Iterable<Sid>): boolean {
    // There are few sids, and a leader calls this in every step: an array is cheaper than a set.
    const counted: Sid[] = [];
    for (const sid of sids) {
      if (this.#participants.has(sid) && !counted.includes(sid)) counted.push(sid);
    }
    return counted.length >= this.majority;
  }

  /** The commit rule: an entry is committed once it and all entries before it are durable at a quorum. */
  highestAcked(acked: ReadonlyMap<Sid, Zxid>): Zxid {
    const sorted: Zxid[] = [];
    for (const sid of this.participants) {
      const zxid = acked.get(sid);
      if (zxid !== undefined) sorted.push(zxid);
    }
    sorted.sort((a, b) => compareZxid(b, a));
    return sorted[this.majority - 1] ?? ZXID_ZERO;
  }
}
