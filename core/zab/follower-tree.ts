/** How a follower's tree compares with its leader's, within one stay. */
import type { Sid } from "./membership.ts";
import type { RoleHost } from "./role.ts";
import { compareZxid, type Zxid } from "./zxid.ts";

/**
 * What a follower has found out about its tree and its leader's, in one stay. The server that applies compares; this part keeps what
 * that means.
 * Invariant: `confirmed` only rises, and a tree is confirmed by a quorum only where it was found equal at or above a zxid at which
 * the leader's was.
 *
 * @source decision 0012; rules ZAB-120, 129, 132
 */
export class FollowerTree {
  readonly #host: RoleHost;
  #confirmed: Zxid | null = null;
  #checkRequested = false;
  /** the leader has not compared its tree with ours, and says that a CHECK follows */
  #awaitsCheck = false;
  /** a zxid from which on the leader's tree is known to be right; null: none is */
  #leaderConfirmedAt: Zxid | null = null;
  /** a quorum has confirmed the tree that this peer was given, as the leader says */
  confirmedByQuorum = false;

  constructor(host: RoleHost) {
    this.#host = host;
  }

  /** Highest zxid of the leader's digests that was found equal here; null: none was yet. */
  get confirmed(): Zxid | null {
    return this.#confirmed;
  }

  /** The leader has sent a CHECK that is not answered yet. */
  get checkRequested(): boolean {
    return this.#checkRequested;
  }

  /** The tree here is not known to be the leader's: no client is served from it before the leader's digest was found equal. */
  get awaitsComparison(): boolean {
    return this.#awaitsCheck && this.#confirmed === null;
  }

  /** UPTODATE came. @param check a CHECK follows */
  begin(check: boolean): void {
    this.#awaitsCheck = check;
    // Another leader is established: what differed from the last one's tree is compared with this one's.
    this.#host.tree.differs = null;
  }

  /** The leader asks for a comparison. */
  requestCheck(): void {
    this.#checkRequested = true;
  }

  /** A quorum has confirmed the leader's tree, and it stands at `zxid`. */
  noteLeaderConfirmed(zxid: Zxid): void {
    this.#leaderConfirmedAt ??= zxid;
  }

  /** The leader's digest at `zxid` equals the one here. The next PONG reports it. */
  noteEqual(zxid: Zxid): void {
    if (this.#confirmed === null || compareZxid(this.#confirmed, zxid) < 0) this.#confirmed = zxid;
    const from = this.#leaderConfirmedAt;
    if (from !== null && compareZxid(from, zxid) <= 0) this.#host.tree.confirmedByQuorum = true;
  }

  /** The tree here differs from that of the leader at `zxid`. */
  noteDifferent(leader: Sid, zxid: Zxid): void {
    this.#host.tree.differs = { from: leader, at: zxid };
    this.#host.tree.confirmedByQuorum = false;
  }

  /** The answer to a CHECK, once there is one; null: no CHECK waits, or no digest was found equal yet. */
  takeAnswer(): Zxid | null {
    if (!this.#checkRequested || this.#confirmed === null) return null;
    this.#checkRequested = false;
    return this.#confirmed;
  }
}
