/** Compares this member's tree with its leader's, by digests at the same zxid. */
import { equalDigest } from "../zab/digests.ts";
import type { ZabEffect } from "../zab/effects.ts";
import type { DigestAt } from "../zab/messages.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";

/**
 * Holds a digest of the leader until the txn at its zxid is applied, and then compares it.
 *
 * Invariant: the held digest is of the current leader, at a zxid that is not applied yet.
 *
 * @source ZooKeeper `DigestCalculator`, ZOOKEEPER-3512
 */
export class DigestCheck {
  readonly #zab: ZabPeer;
  readonly #absorb: (effects: readonly ZabEffect[]) => void;
  #tree: ZnodeTree;
  #expected: DigestAt | null = null;

  /** @param absorb receives the peer's effects after a comparison */
  constructor(zab: ZabPeer, tree: ZnodeTree, absorb: (effects: readonly ZabEffect[]) => void) {
    this.#zab = zab;
    this.#tree = tree;
    this.#absorb = absorb;
    this.report();
  }

  /** Replaces the tree by a received snapshot. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
    this.#expected = null;
    this.report();
  }

  /** Drops the held digest, because the leader has changed. */
  reset(): void {
    this.#expected = null;
  }

  /** Whether a digest of the leader is held. */
  get isExpecting(): boolean {
    return this.#expected !== null;
  }

  /** Reports the digest of the tree to the peer, which remembers it and sends it to others. */
  report(): void {
    const { lastApplied, digestHigh, digestLow } = this.#tree;
    this.#zab.digest = { zxid: lastApplied, high: digestHigh, low: digestLow };
  }

  /** Handles a digest of the leader. @param asked whether the leader waits for the outcome */
  expect(now: number, expected: DigestAt, asked: boolean): void {
    const age = compareZxid(expected.zxid, this.#tree.lastApplied);
    if (age >= 0) {
      // Later digests keep coming: replacing the held one each time would delay the comparison forever.
      if (this.#expected !== null && !asked) return;
      this.#expected = expected;
      if (age === 0) this.check(now, expected.zxid);
      return;
    }
    // This member may have applied the txn before the leader.
    const ours = this.#zab.digestAt(expected.zxid);
    if (ours !== undefined) this.#compare(now, expected, ours);
  }

  /** Compares the held digest if it is of the txn at `zxid`, which was just applied. */
  check(now: number, zxid: Zxid): void {
    const expected = this.#expected;
    const age = expected === null ? -1 : compareZxid(zxid, expected.zxid);
    if (expected === null || age < 0) return;
    this.#expected = null;
    const { digestHigh: high, digestLow: low } = this.#tree;
    if (age === 0) this.#compare(now, expected, { zxid, high, low });
  }

  #compare(now: number, leaders: DigestAt, ours: DigestAt): void {
    const { zxid } = leaders;
    if (equalDigest(leaders, ours)) this.#absorb(this.#zab.confirm(now, zxid));
    else this.#absorb(this.#zab.diverged(now, zxid));
  }
}
