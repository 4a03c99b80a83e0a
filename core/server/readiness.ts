/** Whether this member may take requests. */
import { assert } from "../assert.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";

/**
 * A member is ready once it serves (phase BROADCAST) and has applied its log up to where it ended at the beginning of the
 * stay: a write that it forwarded in an earlier stay with the same leader may be logged and not committed yet.
 *
 * Invariant: while a member is ready, it has applied every write of earlier epochs that can still be committed.
 *
 * @see SERVER-4
 */
export class Readiness {
  #isReady = false;
  #hasServed = false;
  /** when it was last ready; ms */
  #readyAt = 0;
  /** last zxid that must be applied before it is ready; null while it does not serve */
  #barrier: Zxid | null = null;
  /** until when requests wait for the ensemble to wake, ms; 0 if it is not waking */
  #wakingUntil = 0;

  /** Whether it may take requests. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether it was ready before with this tree, so that the tree is not older than any state that clients have seen here. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Whether it is about to become ready after a sleep. */
  isWaking(now: number): boolean {
    return !this.#isReady && now < this.#wakingUntil;
  }

  /** Records that its last incarnation ended asleep, so that its start is a wake-up. */
  startsAsleep(): void {
    this.#wakingUntil = Number.POSITIVE_INFINITY;
  }

  /** Handles the first step. @param timeoutMs timeout of a request */
  started(now: number, timeoutMs: number): void {
    if (this.#wakingUntil > 0) this.#wakingUntil = now + timeoutMs;
  }

  /** Handles the end of a sleep. @param timeoutMs timeout of a request */
  woken(now: number, timeoutMs: number): void {
    this.#wakingUntil = now + timeoutMs;
  }

  /** Whether a stay has begun since the last {@link lost}. */
  get hasBarrier(): boolean {
    return this.#barrier !== null;
  }

  /** Makes it not ready, because the stay has ended or not begun. */
  lost(): void {
    this.#isReady = false;
    this.#barrier = null;
  }

  /** Handles a received snapshot. It may be older than the states shown here, until the log after it is applied. */
  loadTree(): void {
    this.#hasServed = false;
  }

  /**
   * Becomes ready if the peer serves and the log is applied.
   * @returns undefined if it is not ready; BEGUN; or, after a sleep, WOKEN in time for the requests that woke it, LATE if
   * they have timed out
   */
  maybeBegin(now: number, zab: ZabPeer): "BEGUN" | "WOKEN" | "LATE" | undefined {
    assert(!this.#isReady && zab.serving, "a member becomes ready once in a stay");
    this.#barrier ??= zab.lastLogged.zxid;
    if (compareZxid(zab.lastProcessedZxid, this.#barrier) < 0) return undefined;
    // A txn prepared against a wrong tree would have a wrong result, so the trees of a quorum are compared first.
    if (zab.proposing?.trusted === false || zab.awaitsComparison) return undefined;
    const isWaking = this.isWaking(now);
    const wasAsleep = this.#wakingUntil > 0;
    this.#isReady = true;
    this.#readyAt = now;
    this.#hasServed = true;
    this.#wakingUntil = 0;
    if (!wasAsleep) return "BEGUN";
    return isWaking ? "WOKEN" : "LATE";
  }

  /** Whether it has not been ready for longer than `ms`. Returns true once per `ms`. */
  hasTimedOut(now: number, ms: number, hasClients: boolean): boolean {
    if (this.#isReady) this.#readyAt = now;
    else if (hasClients && now - this.#readyAt > ms) {
      this.#readyAt = now;
      return true;
    }
    return false;
  }
}
