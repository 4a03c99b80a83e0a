/**
 * Digests of the tree: which of them a peer remembers, and what a leader knows of the trees of the others.
 *
 * A digest is a statement about one tree at one zxid. Two peers that applied the same log up to the same zxid have equal
 * digests unless one of the trees is damaged. Which one that is, only a majority can tell: see docs/decisions/0012-digests-are-confirmed.md.
 *
 * @source ZooKeeper AdHash digest (reported there, not acted upon)
 */

import type { Sid } from "./membership.ts";
import type { DigestAt } from "./messages.ts";
import type { QuorumVerifier } from "./quorum-verifier.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/** Digests that a peer remembers, one for each batch applied: more than the batches by which two peers that serve may differ. */
export const DIGESTS_KEPT = 64;

/** Are these digests of equal trees? Their zxids are not compared. */
export const equalDigest = (a: DigestAt, b: DigestAt): boolean => a.high === b.high && a.low === b.low;

/**
 * The digests of one tree at the last zxids at which it stood. Invariant: ascending zxids of one tree, at most {@link DIGESTS_KEPT}.
 *
 * @source ZooKeeper DataTree.digestLog
 */
export class DigestHistory {
  /** ascending from `#next` on, around the end */
  readonly #ring: DigestAt[] = [];
  #next = 0;

  /** The tree stands at this zxid now, which is above all before. */
  add(digest: DigestAt): void {
    this.#ring[this.#next] = digest;
    this.#next = (this.#next + 1) % DIGESTS_KEPT;
  }

  /** The tree is another one: what was remembered says nothing about it. */
  clear(): void {
    this.#ring.length = 0;
    this.#next = 0;
  }

  /** The digest at exactly this zxid; undefined when the tree did not stop there, or too long ago. */
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
 * What the learners have said of the tree of one leader, in one leadership. A statement outlives the stay in which it was made,
 * and the crash of its learner: that two trees were equal, or not, at a zxid stays true. So a learner that differed has to be
 * found equal there or later: that the trees were equal before says nothing about what came between.
 * Invariant: no learner both differs and has given up a tree that differed.
 *
 * @source decision 0012
 */
export class TreeAgreement {
  readonly #quorum: QuorumVerifier;
  readonly #leader: Sid;
  /** *map sid → highest zxid at which its digest equalled the leader's* */
  readonly #confirmed = new Map<Sid, Zxid>();
  /** *map sid → lowest zxid at which it did* */
  readonly #firstConfirmed = new Map<Sid, Zxid>();
  /** *map sid → zxid at which its digest differed*; until it has the leader's tree, or is found equal there or later */
  readonly #differing = new Map<Sid, Zxid>();
  /** learners that differed and have given that tree up since: their statement counts against the leader's, and protects no tree */
  readonly #abandoned = new Set<Sid>();
  /** learners whose tree is a copy of the leader's, made before a quorum had confirmed that: their statement adds nothing */
  readonly #copies = new Set<Sid>();
  /** learners of a version that says nothing of digests */
  readonly #silent = new Set<Sid>();

  /** @param leader its own tree is always its own */
  constructor(quorum: QuorumVerifier, leader: Sid) {
    this.#quorum = quorum;
    this.#leader = leader;
  }

  /** Its digest equals the leader's at this zxid. */
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

  /** Its digest differs from the leader's at this zxid. */
  differ(sid: Sid, zxid: Zxid): void {
    this.#abandoned.delete(sid);
    this.#differing.set(sid, zxid);
    this.#silent.delete(sid);
  }

  /** It cannot say whether its tree is ours. */
  silence(sid: Sid): void {
    this.#silent.add(sid);
  }

  /** It is of a version that can say it, from now on: it was upgraded. */
  speaks(sid: Sid): void {
    this.#silent.delete(sid);
  }

  /** It is given the leader's tree. @param proven what it is given is right: a quorum had confirmed it before */
  copy(sid: Sid, proven: boolean): void {
    if (!proven) this.#copies.add(sid);
    else if (this.#copies.delete(sid)) {
      // Its statements as a copy say nothing.
      this.#confirmed.delete(sid);
      this.#firstConfirmed.delete(sid);
    }
  }

  /** Its tree is of no use any more: wiped, or damaged on disk. That it differed is true all the same. @returns whether it did */
  abandon(sid: Sid): boolean {
    if (!this.#differing.delete(sid)) return false;
    this.#abandoned.add(sid);
    return true;
  }

  /** It has the leader's tree now: that it once differed says nothing about the next one that does. */
  replaced(sid: Sid): void {
    this.#differing.delete(sid);
    this.#abandoned.delete(sid);
  }

  /** The highest zxid at which this learner is known to have the leader's tree. */
  confirmedBy(sid: Sid): Zxid {
    return this.#confirmed.get(sid) ?? ZXID_ZERO;
  }

  /** sids whose trees differ from the leader's, ascending. */
  get differing(): readonly Sid[] {
    return [...this.#differing.keys()].sort((a, b) => a - b);
  }

  /** The highest zxid at which a learner differs; {@link ZXID_ZERO}: none does. */
  get disputed(): Zxid {
    let highest = ZXID_ZERO;
    for (const zxid of this.#differing.values()) highest = maxZxid(highest, zxid);
    return highest;
  }

  /** A quorum differs from the leader: its tree is the wrong one. */
  get refuted(): boolean {
    return this.#quorum.contains([...this.#differing.keys(), ...this.#abandoned]);
  }

  /**
   * Has a quorum, the leader included, the leader's tree at or above `zxid`? Then that tree was right there, as long as only a
   * minority is damaged.
   */
  proves(zxid: Zxid): boolean {
    const equal = [this.#leader];
    for (const [sid, at] of this.#confirmed) {
      if (!this.#copies.has(sid) && compareZxid(at, zxid) >= 0) equal.push(sid);
    }
    return this.#quorum.contains(equal);
  }

  /**
   * Had a quorum, the leader included, the leader's tree at or below `zxid`? Then a checkpoint that was made there from that
   * tree is right. (An older one may hold a damaged value that later txns have replaced in memory.)
   */
  covers(zxid: Zxid): boolean {
    const equal = [this.#leader];
    for (const [sid, at] of this.#firstConfirmed) {
      if (!this.#copies.has(sid) && compareZxid(at, zxid) <= 0) equal.push(sid);
    }
    return this.#quorum.contains(equal);
  }

  /**
   * May the leader take writes? A quorum, the leader included, has its tree at or above everything in dispute. A copy that was
   * found equal counts while nobody differs: it shows that the tree in the leader's memory is the one on its disk. A learner of
   * an older version, which cannot say whether its tree is ours, counts as long as it does not differ.
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

  /** Is this learner's tree a copy of the leader's that was made before a quorum had confirmed that? */
  isUnprovenCopy(sid: Sid): boolean {
    return this.#copies.has(sid);
  }
}

/** Does this digest say the same as what was remembered? Undefined: nothing is remembered of its zxid. */
export function compareWith(history: DigestHistory, digest: DigestAt): "EQUAL" | "DIFFERENT" | undefined {
  const known = history.at(digest.zxid);
  if (known === undefined) return undefined;
  return equalDigest(known, digest) ? "EQUAL" : "DIFFERENT";
}

/**
 * What a peer knows of its own tree. The server that applies owns the tree, and reports its digests.
 * Invariant: while `differs` is set, the tree was found different from that leader's, and a SNAP has not replaced it since.
 *
 * @source decision 0012
 */
export class OwnTree {
  /** the tree's digest, as reported by the server that applies; undefined: not reported yet */
  digest: DigestAt | undefined;
  /** the last digests of this tree */
  readonly digests = new DigestHistory();
  /** a quorum has confirmed the tree in memory, in this incarnation: a checkpoint that is made of it is right */
  confirmedByQuorum = false;
  /** the leader whose tree differs from ours, and where; forgotten once another is established, from whom it gets a better one */
  differs: { readonly from: Sid; readonly at: Zxid } | null = null;

  /** The tree stands at this zxid, with this digest. */
  tellDigest(digest: DigestAt): void {
    this.digest = digest;
    this.digests.add(digest);
  }

  /** The tree is a received snapshot: nothing is known of it. */
  replaced(): void {
    this.differs = null;
    this.digest = undefined;
    this.digests.clear();
    this.confirmedByQuorum = false;
  }
}
