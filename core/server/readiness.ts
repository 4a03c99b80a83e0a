/** May this member take requests? */
import { assert } from "../assert.ts";
import type { ZabPeer } from "../zab/peer.ts";
import { compareZxid, type Zxid } from "../zab/zxid.ts";

/**
 * A member is ready when it serves (phase BROADCAST) and has applied the log as it was at the beginning of its stay: what it
 * forwarded in an earlier stay with the same leader may be logged and still await its commit.
 *
 * Invariant: while a member is ready, every write that can still be committed of earlier epochs is applied here.
 *
 * @see SERVER-4
 */
export class Readiness {
  #isReady = false;
  #hasServed = false;
  /** when it was ready last; ms */
  #readyAt = 0;
  /** what must be applied before it is ready; null while it does not serve */
  #barrier: Zxid | null = null;
  /** until when requests wait for the ensemble to wake; ms, 0: it does not wake from a sleep */
  #wakingUntil = 0;

  /** May it take requests? */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** It was ready before, with this tree: the tree is not behind any state that clients have seen here. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Not ready, but will be soon: it was asleep. */
  isWaking(now: number): boolean {
    return !this.#isReady && now < this.#wakingUntil;
  }

  /** Its last incarnation ended asleep: it wakes when it starts. */
  startsAsleep(): void {
    this.#wakingUntil = Number.POSITIVE_INFINITY;
  }

  /** The first step. @param timeoutMs of a request */
  started(now: number, timeoutMs: number): void {
    if (this.#wakingUntil > 0) this.#wakingUntil = now + timeoutMs;
  }

  /** A sleep has ended. @param timeoutMs of a request */
  woken(now: number, timeoutMs: number): void {
    this.#wakingUntil = now + timeoutMs;
  }

  /** Does the stay that began after the last {@link lost} last? */
  get hasBarrier(): boolean {
    return this.#barrier !== null;
  }

  /** The stay is over, or has not begun. */
  lost(): void {
    this.#isReady = false;
    this.#barrier = null;
  }

  /** A received snapshot has become the tree. It may be older than what was shown here: the log behind it is applied first. */
  loadTree(): void {
    this.#hasServed = false;
  }

  /**
   * Becomes ready, once the peer serves and the log is applied.
   * @returns undefined while it does not. WOKEN, LATE: it was asleep, and requests that woke it have not or have timed out
   */
  maybeBegin(now: number, zab: ZabPeer): "BEGUN" | "WOKEN" | "LATE" | undefined {
    assert(!this.#isReady && zab.serving, "a member becomes ready once in a stay");
    this.#barrier ??= zab.lastLogged.zxid;
    if (compareZxid(zab.lastProcessedZxid, this.#barrier) < 0) return undefined;
    // A txn prepared against a wrong tree has a wrong result: a quorum's trees are compared first.
    if (zab.proposing?.trusted === false || zab.awaitsComparison) return undefined;
    const isWaking = this.isWaking(now);
    const wasAsleep = this.#wakingUntil > 0;
    this.#isReady = true;
    this.#hasServed = true;
    this.#wakingUntil = 0;
    if (!wasAsleep) return "BEGUN";
    return isWaking ? "WOKEN" : "LATE";
  }

  /** Has it been out of service for longer than `ms`? Says so once in that time. */
  maybeGivesUp(now: number, ms: number, hasClients: boolean): boolean {
    if (this.#isReady) this.#readyAt = now;
    else if (hasClients && now - this.#readyAt > ms) {
      this.#readyAt = now;
      return true;
    }
    return false;
  }
}
