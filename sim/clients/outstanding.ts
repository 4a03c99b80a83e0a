/** Requests of a client with unknown outcomes. */

import type { Asked } from "../checkers/requests.ts";
import { isWrite, type Op, type Outcome, type WriteRequest } from "../history/history.ts";

/** A request that waits for its answer. */
export interface UnderWay {
  readonly op: Op;
  readonly xid: number;
  readonly asked: Asked;
  /** ms of virtual time */
  readonly since: number;
}

/** A write with an unknown outcome, which is repeated under its number. */
export interface Again {
  readonly request: WriteRequest;
  readonly xid: number;
}

/** The numbered write of an op, as a list; empty if there is nothing to repeat. */
const againOf = ({ op, xid }: UnderWay): Again[] =>
  isWrite(op.request) && op.xid > 0 ? [{ request: op.request, xid }] : [];

/**
 * Outstanding requests and writes to repeat.
 * Invariant: a number is in only one of them, and repeats are in the order of the numbers.
 */
export class Outstanding {
  #underWay: UnderWay[] = [];
  #again: Again[] = [];

  /** Number of unanswered requests. */
  get waiting(): number {
    return this.#underWay.length;
  }

  get oldest(): UnderWay | undefined {
    return this.#underWay[0];
  }

  /** Whether a linearizable read is outstanding, which has no order with others. */
  get hasLinearizable(): boolean {
    return this.#underWay.some(({ op }) => op.linearizable);
  }

  /** Whether nothing is outstanding, and some outcome is unknown. */
  get isUnsettled(): boolean {
    return this.#again.length > 0 && this.#underWay.length === 0;
  }

  /** Adds a request that is sent. */
  add(each: UnderWay): void {
    this.#underWay.push(each);
  }

  /** Handles an answer. @returns its request; undefined if that is not outstanding */
  answered(xid: number): UnderWay | undefined {
    const at = this.#underWay.findIndex((each) => each.xid === xid);
    return at < 0 ? undefined : this.#underWay.splice(at, 1)[0];
  }

  /** Handles an outcome: a write with an unknown outcome is repeated if a member may still remember it. */
  returned(each: UnderWay, outcome: Outcome): void {
    if (outcome.type === "unknown" && outcome.code !== "XID_TOO_OLD") this.#again.push(...againOf(each));
  }

  /** Adds a write to repeat, which could not be repeated now. */
  askAgain(each: Again): void {
    this.#again.push(each);
  }

  /** Handles the loss of the connection, after which the outcomes of its writes are unknown. */
  lose(): void {
    const again = this.#underWay.flatMap(againOf);
    this.#underWay = [];
    this.#again = [...again, ...this.#again.filter(({ xid }) => !again.some((each) => each.xid === xid))];
    this.#again.sort((a, b) => a.xid - b.xid);
  }

  /** Takes all writes to repeat. */
  takeAgain(): Again[] {
    const again = this.#again;
    this.#again = [];
    return again;
  }

  /** Handles the loss of connection and session, after which no outcome matters. */
  drop(): void {
    this.#underWay = [];
    this.#again = [];
  }

  /** Handles the end of the session, after which nothing is repeated. */
  forget(): void {
    this.#again = [];
  }
}
