/** Steps of a member: what may happen to it, what comes of that, and what the search has to know of its state. */
import { asSid, type Sid } from "../../../core/zab/membership.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";

/** What may happen to a member. */
export type Input =
  | {
      readonly kind: "call";
      readonly from: Sid;
      readonly boot: number;
      readonly generation: number;
      readonly message: ZabMessage;
    }
  | {
      readonly kind: "returned";
      readonly peer: Sid;
      readonly boot: number;
      readonly messages: readonly ZabMessage[];
    }
  | { readonly kind: "broken"; readonly peer: Sid }
  /** the oldest group of writes became durable */
  | { readonly kind: "synced" }
  /** nobody with a better vote came in time */
  | { readonly kind: "decide" }
  /** votes are said again */
  | { readonly kind: "resend" }
  /** the deadline of the role has passed */
  | { readonly kind: "giveUp" }
  /** the leader has not heard this learner for too long */
  | { readonly kind: "silent"; readonly peer: Sid }
  /** a client's write, the n-th of the run */
  | { readonly kind: "propose"; readonly n: number }
  | { readonly kind: "checkpoint" }
  /** memory is lost, and of what was not durable so many groups are kept */
  | { readonly kind: "crash"; readonly keep: number }
  | { readonly kind: "start" };

/** What left a member: a call, or the return of a call that came with this boot and generation. */
export interface Outgoing {
  readonly to: Sid;
  readonly isCall: boolean;
  /** number of the input that it is to its receiver */
  readonly input: number;
  readonly boot: number;
  readonly generation: number;
}

/** What an input did. */
export interface Outcome {
  readonly next: number;
  readonly out: readonly Outgoing[];
  /** numbers of the entries that were delivered, in order */
  readonly delivered: readonly number[];
  /** the history was replaced by a snapshot that ends in this entry, or −1 */
  readonly loaded: number;
  /** the epoch in which it acted as leader, or 0 */
  readonly leads: number;
  /** elections begun */
  readonly looks: number;
  /** reasons for which a role was given up */
  readonly reasons: readonly string[];
  /** what the core asserted in vain */
  readonly failure: string | undefined;
}

/** The role of a member as a number. */
export const Role = { DOWN: 0, LOOKING: 1, FOLLOWING: 2, LEADING: 3 } as const;
/** The phase of a member as a number. */
export const Phase = { ELECTION: 0, DISCOVERY: 1, SYNCHRONIZATION: 2, BROADCAST: 3 } as const;

/** What the search has to know of a state of a member. */
export interface Facts {
  readonly sid: Sid;
  readonly up: boolean;
  readonly boot: number;
  readonly role: number;
  readonly phase: number;
  readonly leader: number;
  readonly pending: number;
  readonly mayDecide: boolean;
  readonly mayResend: boolean;
  readonly mayPropose: boolean;
  readonly mayCheckpoint: boolean;
  readonly learners: readonly Sid[];
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  readonly durableAcceptedEpoch: number;
  readonly durableCurrentEpoch: number;
  /** what left it promised these */
  readonly toldAcceptedEpoch: number;
  readonly toldCurrentEpoch: number;
  /** entries: base, then one after the other */
  readonly log: readonly number[];
  readonly durableLog: readonly number[];
  /** the last one that is delivered */
  readonly delivered: number;
}

/** One entry of a history; the chain stands for all before it. */
export interface Entry {
  readonly epoch: number;
  readonly counter: number;
  readonly sid: number;
}

/** The sid of the member at this place, from 0 on. */
export const sidOf = (index: number): Sid => asSid(index + 1);

/** Whether an input brings nothing but votes. */
export function isVote(input: Input): boolean {
  if (input.kind === "call") return input.message.type === "NOTIFICATION";
  return input.kind === "returned" && input.messages.every(({ type }) => type === "NOTIFICATION");
}
