/** The input being handled: its time, its caller, and the effects so far. */
import { assert } from "../assert.ts";
import { type DurableWrite, isRare, type TraceEvent, type Tracing, type ZabEffect } from "./effects.ts";
import type { Sid } from "./membership.ts";
import type { ZabMessage } from "./messages.ts";

/**
 * Collects the effects of one input, in the order in which the shell must run them, and numbers the persist effects.
 * Every part of a peer adds to it; only the peer begins and ends it.
 * Invariants: between two inputs it holds no effect; persist effects are numbered without a gap, and become durable in order.
 *
 * @source etcd-raft Ready
 */
export class Step {
  /** time of the input, ms; liveness only */
  now = 0;
  /** the peer whose call is being handled; null if the input is no call */
  caller: Sid | null = null;
  /** which trace effects are emitted */
  tracing: Tracing = false;
  #effects: ZabEffect[] = [];
  /** number of the last persist effect */
  #persistSeq = 0;
  /** everything up to this persist effect is durable */
  #durableSeq = 0;
  /** added to the next persist effect */
  #deferred: DurableWrite | null = null;

  /** Begins the next input. @param now ms */
  begin(now: number): void {
    assert(this.#effects.length === 0, "the effects of an input are taken before the next one");
    this.now = now;
  }

  /** Ends the input. @returns its effects, to be run in order before the next input */
  end(): ZabEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Adds an effect. */
  push(effect: ZabEffect): void {
    this.#effects.push(effect);
  }

  /** Answers the caller in the return of its call. */
  reply(message: ZabMessage): void {
    assert(this.caller !== null, "a reply needs a call");
    this.#effects.push({ type: "reply", message });
  }

  /** Reports a protocol event, if it is traced. */
  trace(event: TraceEvent): void {
    if (this.tracing === false || (this.tracing === "rare" && !isRare(event))) return;
    this.#effects.push({ type: "trace", event });
  }

  /** Adds a persist effect of these changes. @returns its number, see {@link isDurable} */
  persist(writes: readonly DurableWrite[]): number {
    this.#persistSeq += 1;
    const all = this.#deferred === null ? writes : [...writes, this.#deferred];
    this.#deferred = null;
    this.#effects.push({ type: "persist", seq: this.#persistSeq, writes: all });
    return this.#persistSeq;
  }

  /** Number of the persist effect that {@link persist} makes next. */
  get nextSeq(): number {
    return this.#persistSeq + 1;
  }

  /**
   * Adds a change to the next persist effect, replacing a change that was deferred before. Used if the change is not worth
   * a write of its own.
   */
  defer(write: DurableWrite): void {
    this.#deferred = write;
  }

  /** Makes the deferred change durable now, if there is one. */
  persistDeferred(): void {
    if (this.#deferred !== null) this.persist([]);
  }

  /** Whether this persist effect and all earlier ones are durable. */
  isDurable(seq: number): boolean {
    return seq <= this.#durableSeq;
  }

  /** Records that everything up to this persist effect is durable. */
  persisted(seq: number): void {
    assert(seq <= this.#persistSeq, "a durable persist effect was issued before");
    this.#durableSeq = Math.max(this.#durableSeq, seq);
  }
}
