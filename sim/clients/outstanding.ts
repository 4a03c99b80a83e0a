/** What a client has asked and does not know the outcome of. */

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

/** A write whose outcome is not known: asked again under its number. */
export interface Again {
  readonly request: WriteRequest;
  readonly xid: number;
}

/** The numbered write of an op; none: nothing to ask again. */
const againOf = ({ op, xid }: UnderWay): Again[] =>
  isWrite(op.request) && op.xid > 0 ? [{ request: op.request, xid }] : [];

/** Invariant: a number is either under way or to be asked again, and what is asked again is in the order of the numbers. */
export class Outstanding {
  #underWay: UnderWay[] = [];
  #again: Again[] = [];

  /** Requests that wait for an answer. */
  get waiting(): number {
    return this.#underWay.length;
  }

  get oldest(): UnderWay | undefined {
    return this.#underWay[0];
  }

  /** Whether a read that goes through the quorum is under way: it keeps no order with others. */
  get hasLinearizable(): boolean {
    return this.#underWay.some(({ op }) => op.linearizable);
  }

  /** Whether nothing is under way, and some outcome is not known. */
  get isUnsettled(): boolean {
    return this.#again.length > 0 && this.#underWay.length === 0;
  }

  /** Something is asked. */
  add(each: UnderWay): void {
    this.#underWay.push(each);
  }

  /** An answer came. @returns what it answers; undefined: nothing that is under way */
  answered(xid: number): UnderWay | undefined {
    const at = this.#underWay.findIndex((each) => each.xid === xid);
    return at < 0 ? undefined : this.#underWay.splice(at, 1)[0];
  }

  /** What came back: a write is asked again if its outcome is unknown, and a member may still remember it. */
  returned(each: UnderWay, outcome: Outcome): void {
    if (outcome.type === "unknown" && outcome.code !== "XID_TOO_OLD") this.#again.push(...againOf(each));
  }

  /** A write that could not be asked again. */
  askAgain(each: Again): void {
    this.#again.push(each);
  }

  /** The connection is gone: the outcome of its writes is not known. */
  lose(): void {
    const again = this.#underWay.flatMap(againOf);
    this.#underWay = [];
    this.#again = [...again, ...this.#again.filter(({ xid }) => !again.some((each) => each.xid === xid))];
    this.#again.sort((a, b) => a.xid - b.xid);
  }

  /** Takes everything that is to be asked again. */
  takeAgain(): Again[] {
    const again = this.#again;
    this.#again = [];
    return again;
  }

  /** The connection is gone, and so is its session: no outcome matters. */
  drop(): void {
    this.#underWay = [];
    this.#again = [];
  }

  /** The session is over: nothing is asked again. */
  forget(): void {
    this.#again = [];
  }
}
