/**
 * Digests of the tree: those that a peer remembers, and what a leader knows about the trees of its learners.
 *
 * A digest describes one tree at one zxid. Two peers that applied the same log up to the same zxid have equal digests
 * unless one of the trees is damaged. Only a majority can decide which one is: see
 * docs/decisions/0012-digests-are-confirmed.md.
 *
 * @source ZooKeeper AdHash digest (reported there, not acted upon)
 */

import type { Sid } from "./membership.ts";
import type { DigestAt } from "./messages.ts";
import type { QuorumVerifier } from "./quorum-verifier.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/** Digests that a peer remembers, one per applied batch; more than the number of batches by which two serving peers may differ. */
export const DIGESTS_KEPT = 64;

/** Whether the two digests are equal. Their zxids are not compared. */
export const equalDigest = (a: DigestAt, b: DigestAt): boolean => a.high === b.high && a.low === b.low;

/**
 * The digests of one tree after each of the last batches applied to it.
 * Invariant: ascending zxids of one tree, at most {@link DIGESTS_KEPT}.
 *
 * @source ZooKeeper DataTree.digestLog
 */
export class DigestHistory {
  /** ascending from `#next` on, around the end */
  readonly #ring: DigestAt[] = [];
  #next = 0;

  /** Adds the digest after the latest batch. Its zxid is above all earlier ones. */
  add(digest: DigestAt): void {
    this.#ring[this.#next] = digest;
    this.#next = (this.#next + 1) % DIGESTS_KEPT;
  }

  /** Forgets all digests, because the tree was replaced. */
  clear(): void {
    this.#ring.length = 0;
    this.#next = 0;
  }

  /** The digest at exactly this zxid; undefined if no batch ended there, or if it is no longer remembered. */
  at(zxid: Zxid): DigestAt | undefined {
    const { length } = this.#ring;
    for (let back = 1; back <= length; back++) {
      const digest = this.#ring[(this.#next - back + length) % length];
      if (digest === undefined) return undefined;
      const order = compareZxid(digest.zxid, zxid);
      if (order === 0) return digest;
      if (order < 0) return undefined;
    }
    return undefined;
  }
}

/**
 * What learners have reported about the tree of one leader, in one leadership. A report outlives the learner's stay and its
 * crash, because it remains true that the two trees were equal, or different, at that zxid. A learner that differed must
 * therefore be found equal at the same zxid or a later one; equality at an earlier zxid proves nothing about it.
 * Invariant: no learner is both in `#differing` and in `#abandoned`.
 *
 * @source decision 0012
 */
export class TreeAgreement {
  readonly #quorum: QuorumVerifier;
  readonly #leader: Sid;
  /** *map sid → highest zxid at which its digest equalled the leader's* */
  readonly #confirmed = new Map<Sid, Zxid>();
  /** *map sid → lowest zxid at which its digest equalled the leader's* */
  readonly #firstConfirmed = new Map<Sid, Zxid>();
  /** *map sid → zxid at which its digest differed*; removed once it has the leader's tree, or is found equal there or later */
  readonly #differing = new Map<Sid, Zxid>();
  /**
   * learners that differed and have since lost that tree: they still count against the leader's tree, but have no tree to
   * protect
   */
  readonly #abandoned = new Set<Sid>();
  /** learners whose tree is a copy of the leader's, made before a quorum had confirmed it: their reports prove nothing */
  readonly #copies = new Set<Sid>();
  /** learners whose version does not report digests */
  readonly #silent = new Set<Sid>();

  /** @param leader counts as confirmed at every zxid: it is compared with its own tree */
  constructor(quorum: QuorumVerifier, leader: Sid) {
    this.#quorum = quorum;
    this.#leader = leader;
  }

  /** Records that the learner's digest equals the leader's at this zxid. */
  confirm(sid: Sid, zxid: Zxid): void {
    const known = this.#confirmed.get(sid);
    if (known === undefined || compareZxid(known, zxid) < 0) this.#confirmed.set(sid, zxid);
    const first = this.#firstConfirmed.get(sid);
    if (first === undefined || compareZxid(zxid, first) < 0) this.#firstConfirmed.set(sid, zxid);
    const differed = this.#differing.get(sid);
    if (differed !== undefined && compareZxid(differed, zxid) <= 0) this.#differing.delete(sid);
    this.#abandoned.delete(sid);
    this.#silent.delete(sid);
  }

  /** Records that the learner's digest differs from the leader's at this zxid. */
  differ(sid: Sid, zxid: Zxid): void {
    this.#abandoned.delete(sid);
    this.#differing.set(sid, zxid);
    this.#silent.delete(sid);
  }

  /** Records that the learner's version reports no digests. */
  noteWithoutDigests(sid: Sid): void {
    this.#silent.add(sid);
  }

  /** Records that the learner's version reports digests: it may have been upgraded. */
  noteWithDigests(sid: Sid): void {
    this.#silent.delete(sid);
  }

  /** Records that the learner is being sent the leader's tree. @param proven whether a quorum had confirmed what is sent */
  copy(sid: Sid, proven: boolean): void {
    if (!proven) this.#copies.add(sid);
    else if (this.#copies.delete(sid)) {
      // Equality of a copy proves nothing.
      this.#confirmed.delete(sid);
      this.#firstConfirmed.delete(sid);
    }
  }

  /**
   * Records that the learner has lost its tree: wiped, or damaged on disk. It stays counted as different.
   * @returns whether it differed
   */
  abandon(sid: Sid): boolean {
    if (!this.#differing.delete(sid)) return false;
    this.#abandoned.add(sid);
    return true;
  }

  /** Records that the learner has the leader's tree now, so earlier differences no longer count. */
  replaced(sid: Sid): void {
    this.#differing.delete(sid);
    this.#abandoned.delete(sid);
  }

  /** The highest zxid at which this learner's tree is known to equal the leader's. */
  confirmedBy(sid: Sid): Zxid {
    return this.#confirmed.get(sid) ?? ZXID_ZERO;
  }

  /** sids whose trees differ from the leader's, ascending. */
  get differing(): readonly Sid[] {
    return [...this.#differing.keys()].sort((a, b) => a - b);
  }

  /** The highest zxid at which a learner differs; {@link ZXID_ZERO} if none does. */
  get disputed(): Zxid {
    let highest = ZXID_ZERO;
    for (const zxid of this.#differing.values()) highest = maxZxid(highest, zxid);
    return highest;
  }

  /** Whether a quorum differs from the leader, so the leader's tree is the wrong one. */
  get refuted(): boolean {
    return this.#quorum.contains([...this.#differing.keys(), ...this.#abandoned]);
  }

  /**
   * Whether a quorum, the leader included, had the leader's tree at or above `zxid`. If so, the tree was right at `zxid`,
   * provided that only a minority is damaged.
   */
  proves(zxid: Zxid): boolean {
    const equal = [this.#leader];
    for (const [sid, at] of this.#confirmed) {
      if (!this.#copies.has(sid) && compareZxid(at, zxid) >= 0) equal.push(sid);
    }
    return this.#quorum.contains(equal);
  }

  /**
   * Whether a quorum, the leader included, had the leader's tree at or below `zxid`. If so, a checkpoint of that tree at
   * `zxid` is right. (An older checkpoint may hold a damaged value that later txns replaced in memory.)
   */
  covers(zxid: Zxid): boolean {
    const equal = [this.#leader];
    for (const [sid, at] of this.#firstConfirmed) {
      if (!this.#copies.has(sid) && compareZxid(at, zxid) <= 0) equal.push(sid);
    }
    return this.#quorum.contains(equal);
  }

  /**
   * Whether the leader may take writes: a quorum, the leader included, has its tree at or above every zxid in dispute. A
   * copy that was found equal counts while no learner differs: it shows that the leader's tree in memory equals the one on
   * its disk. A learner of an older version, which reports no digests, counts as long as it does not differ.
   * @param active the learners of the active set
   */
  allowsWrites(active: Iterable<Sid>): boolean {
    const at = this.disputed;
    const allowing = [this.#leader];
    for (const [sid, zxid] of this.#confirmed) {
      if (this.#copies.has(sid) && this.#differing.size > 0) continue;
      if (compareZxid(zxid, at) >= 0) allowing.push(sid);
    }
    for (const sid of active) if (this.#silent.has(sid) && !this.#differing.has(sid)) allowing.push(sid);
    return this.#quorum.contains(allowing);
  }

  /** Whether this learner's tree is a copy of the leader's, made before a quorum had confirmed it. */
  isUnprovenCopy(sid: Sid): boolean {
    return this.#copies.has(sid);
  }
}

/** Compares a digest with the remembered one of the same zxid; undefined if none is remembered. */
export function compareWith(history: DigestHistory, digest: DigestAt): "EQUAL" | "DIFFERENT" | undefined {
  const known = history.at(digest.zxid);
  if (known === undefined) return undefined;
  return equalDigest(known, digest) ? "EQUAL" : "DIFFERENT";
}

/**
 * What a peer knows about its own tree. The server owns the tree and reports its digests.
 * Invariant: while `differs` is set, the tree was found different from that leader's and no SNAP has replaced it.
 *
 * @source decision 0012
 */
export class OwnTree {
  /** digest of the tree as the server last reported it; undefined if not yet reported */
  digest: DigestAt | undefined;
  /** the last digests of this tree */
  readonly digests = new DigestHistory();
  /** whether a quorum has confirmed the tree in memory in this incarnation, so that a checkpoint of it is right */
  confirmedByQuorum = false;
  /**
   * the leader whose tree differs from this one, and the zxid; reset when the next leader is established, which compares
   * the trees itself
   */
  differs: { readonly from: Sid; readonly at: Zxid } | null = null;

  /** Records the digest of the tree at the zxid it has reached. */
  tellDigest(digest: DigestAt): void {
    this.digest = digest;
    this.digests.add(digest);
  }

  /** Forgets everything about the tree, because a received snapshot replaced it. */
  replaced(): void {
    this.differs = null;
    this.digest = undefined;
    this.digests.clear();
    this.confirmedByQuorum = false;
  }
}
