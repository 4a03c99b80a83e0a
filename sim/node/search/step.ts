/** Steps of a member: their inputs and outcomes, and the facts that the search needs about the member's state. */
import { asSid, type Sid } from "../../../core/zab/membership.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";

/** An event at a member. */
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
  /** no better vote arrived in time */
  | { readonly kind: "decide" }
  /** votes are sent again */
  | { readonly kind: "resend" }
  /** the deadline of the role has passed */
  | { readonly kind: "giveUp" }
  /** the leader has received nothing from this learner for too long */
  | { readonly kind: "silent"; readonly peer: Sid }
  /** a client's write, the n-th of the run */
  | { readonly kind: "propose"; readonly n: number }
  | { readonly kind: "checkpoint" }
  /** memory is lost, and `keep` groups of the writes that were not durable are kept */
  | { readonly kind: "crash"; readonly keep: number }
  | { readonly kind: "start" };

/** An output of a member: a call, or the return of a call that arrived with this boot and generation. */
export interface Outgoing {
  readonly to: Sid;
  readonly isCall: boolean;
  /** number of the input that this is for the receiver */
  readonly input: number;
  readonly boot: number;
  readonly generation: number;
}

/** Effect of an input. */
export interface Outcome {
  readonly next: number;
  readonly out: readonly Outgoing[];
  /** numbers of the entries that were delivered, in order */
  readonly delivered: readonly number[];
  /** last entry of the snapshot that replaced the history, or −1 */
  readonly loaded: number;
  /** the epoch in which the member acted as leader, or 0 */
  readonly leads: number;
  /** elections begun */
  readonly looks: number;
  /** reasons why a role was given up */
  readonly reasons: readonly string[];
  /** text of a failed assertion of the core */
  readonly failure: string | undefined;
}

/** The role of a member as a number. */
export const Role = { DOWN: 0, LOOKING: 1, FOLLOWING: 2, LEADING: 3 } as const;
/** The phase of a member as a number. */
export const Phase = { ELECTION: 0, DISCOVERY: 1, SYNCHRONIZATION: 2, BROADCAST: 3 } as const;

/** Facts that the search needs about a state of a member. */
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
  /** highest epochs that it has promised to others */
  readonly toldAcceptedEpoch: number;
  readonly toldCurrentEpoch: number;
  /** entries in order, the base first */
  readonly log: readonly number[];
  readonly durableLog: readonly number[];
  /** the last delivered entry */
  readonly delivered: number;
}

/** One entry of a history; the chain is a hash of all entries up to it. */
export interface Entry {
  readonly epoch: number;
  readonly counter: number;
  readonly sid: number;
}

/** The sid of the member with this index, from 0 on. */
export const sidOf = (index: number): Sid => asSid(index + 1);

/** Whether an input consists only of votes. */
export function isVote(input: Input): boolean {
  if (input.kind === "call") return input.message.type === "NOTIFICATION";
  return input.kind === "returned" && input.messages.every(({ type }) => type === "NOTIFICATION");
}
