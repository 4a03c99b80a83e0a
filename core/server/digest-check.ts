/** Compares this member's tree with its leader's, txn by txn where they meet. */
import { equalDigest } from "../zab/digests.ts";
import type { ZabEffect } from "../zab/effects.ts";
import type { DigestAt } from "../zab/messages.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";

/**
 * The digest that the leader had at some zxid waits here until that txn is applied; then it is compared.
 *
 * Invariant: the digest that waits is of the current leader and of a txn that is not applied yet.
 *
 * @source ZooKeeper `DigestCalculator`, ZOOKEEPER-3512
 */
export class DigestCheck {
  readonly #zab: ZabPeer;
  readonly #absorb: (effects: readonly ZabEffect[]) => void;
  #tree: ZnodeTree;
  #expected: DigestAt | null = null;

  /** @param absorb takes what the peer answers to the outcome of a comparison */
  constructor(zab: ZabPeer, tree: ZnodeTree, absorb: (effects: readonly ZabEffect[]) => void) {
    this.#zab = zab;
    this.#tree = tree;
    this.#absorb = absorb;
    this.report();
  }

  /** A received snapshot has become the tree. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
    this.#expected = null;
    this.report();
  }

  /** The leader has changed: its digest is evidence neither for nor against the next one's. */
  reset(): void {
    this.#expected = null;
  }

  /** A digest of the leader waits for its txn. */
  get isExpecting(): boolean {
    return this.#expected !== null;
  }

  /** Reports the digest of the tree to the peer, which sends it to others and remembers it. */
  report(): void {
    const { lastApplied, digestHigh, digestLow } = this.#tree;
    this.#zab.digest = { zxid: lastApplied, high: digestHigh, low: digestLow };
  }

  /** The leader reports its digest. @param asked it waits for the outcome */
  expect(now: number, expected: DigestAt, asked: boolean): void {
    const age = compareZxid(expected.zxid, this.#tree.lastApplied);
    if (age >= 0) {
      // Each PROPOSAL brings a later one: replacing the one that waits would delay every comparison.
      if (this.#expected !== null && !asked) return;
      this.#expected = expected;
      if (age === 0) this.check(now, expected.zxid);
      return;
    }
    // The leader may apply later than this member.
    const ours = this.#zab.digestAt(expected.zxid);
    if (ours !== undefined) this.#compare(now, expected, ours);
  }

  /** The txn at `zxid` was applied. */
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
