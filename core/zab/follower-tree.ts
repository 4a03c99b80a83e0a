/** Comparison of a follower's tree with its leader's, within one stay. */
import type { Sid } from "./membership.ts";
import type { RoleHost } from "./role.ts";
import { compareZxid, type Zxid } from "./zxid.ts";

/**
 * What a follower knows about its tree and its leader's, within one stay. The server compares digests; this part records
 * the results.
 * Invariant: `confirmed` only rises; `confirmedByQuorum` is set only if the trees were found equal at or above a zxid at
 * which a quorum had confirmed the leader's.
 *
 * @source decision 0012; rules ZAB-120, 129, 132
 */
export class FollowerTree {
  readonly #host: RoleHost;
  #confirmed: Zxid | null = null;
  #checkRequested = false;
  /** UPTODATE announced a CHECK, because the leader has not compared the trees yet */
  #awaitsCheck = false;
  /** lowest zxid from which on the leader's tree is known to be right; null if none */
  #leaderConfirmedAt: Zxid | null = null;
  /** whether a quorum has confirmed this peer's tree, as far as the leader reports */
  confirmedByQuorum = false;

  constructor(host: RoleHost) {
    this.#host = host;
  }

  /** Highest zxid at which the leader's digest was found equal to the own one; null if none yet. */
  get confirmed(): Zxid | null {
    return this.#confirmed;
  }

  /** Whether a CHECK of the leader is not answered yet. */
  get checkRequested(): boolean {
    return this.#checkRequested;
  }

  /** Whether the trees have to be compared before this peer may serve clients. */
  get awaitsComparison(): boolean {
    return this.#awaitsCheck && this.#confirmed === null;
  }

  /** Handles UPTODATE. @param check whether a CHECK follows */
  begin(check: boolean): void {
    this.#awaitsCheck = check;
    // A leader is established: a difference from the previous leader's tree no longer counts.
    this.#host.tree.differs = null;
  }

  /** Records that the leader has sent a CHECK. */
  requestCheck(): void {
    this.#checkRequested = true;
  }

  /** Records that a quorum has confirmed the leader's tree, whose digest is at `zxid`. */
  noteLeaderConfirmed(zxid: Zxid): void {
    this.#leaderConfirmedAt ??= zxid;
  }

  /** Records that the leader's digest at `zxid` equals the own one. The next PONG reports it. */
  noteEqual(zxid: Zxid): void {
    if (this.#confirmed === null || compareZxid(this.#confirmed, zxid) < 0) this.#confirmed = zxid;
    const from = this.#leaderConfirmedAt;
    if (from !== null && compareZxid(from, zxid) <= 0) this.#host.tree.confirmedByQuorum = true;
  }

  /** Records that the own tree differs from the leader's at `zxid`. */
  noteDifferent(leader: Sid, zxid: Zxid): void {
    this.#host.tree.differs = { from: leader, at: zxid };
    this.#host.tree.confirmedByQuorum = false;
  }

  /** The answer to a CHECK; null if no CHECK is unanswered, or no digest was found equal yet. */
  takeAnswer(): Zxid | null {
    if (!this.#checkRequested || this.#confirmed === null) return null;
    this.#checkRequested = false;
    return this.#confirmed;
  }
}
