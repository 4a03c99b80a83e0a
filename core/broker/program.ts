/**
 * What a broker does over time, as coroutines: a {@link Program} yields one step and receives its result. The core decides
 * what comes next; the object `Broker`, or the simulator, makes the calls, waits and keeps time.
 *
 * A crash ends all programs between two steps. Nothing is lost by that but what is in memory: a program reads from the
 * ensemble where things stand.
 */
import type { ZooErrorCode } from "../errors.ts";
import type {
  ReadRequestOf,
  ReadResult,
  SessionId,
  WriteRequest,
  WriteResult,
  ZnodeReadType,
} from "../znode/types.ts";
import type { ClusterCondition } from "./cluster-view.ts";
import type { Leadership } from "./partition.ts";
import type { LogBounds, PartitionAnswer } from "./replica-messages.ts";

/** A result, or the code of what refused it; operating errors are values. */
export type Outcome<T, Code extends string = ZooErrorCode> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: Code; readonly message: string };

/** An operating error as a value. */
export const failure = <Code extends string>(code: Code, message: string) =>
  ({ ok: false, code, message }) as const;

/** How a wait for changes ended. */
export interface Waited {
  /** indexes of the conditions that are outdated; empty on timeout */
  readonly changed: readonly number[];
  /** the ensemble has fallen asleep in this epoch */
  readonly asleep?: number;
}

/** *map call of a node → what it is given, and what it answers* */
export interface NodeCalls {
  readonly openSession: {
    readonly input: { readonly timeoutMs: number };
    readonly value: { readonly session: SessionId };
  };
  readonly touchSession: { readonly input: { readonly session: SessionId }; readonly value: object };
  readonly closeSession: { readonly input: { readonly session: SessionId }; readonly value: null };
  readonly write: {
    readonly input: { readonly session: SessionId; readonly xid: number; readonly request: WriteRequest };
    readonly value: WriteResult;
  };
  /** a read of one znode; `fresh`: the node first catches up with the leader */
  readonly read: {
    readonly input: {
      readonly session: SessionId;
      readonly request: ReadRequestOf<ZnodeReadType>;
      readonly fresh: boolean;
    };
    readonly value: ReadResult<ZnodeReadType>;
  };
  /** `owner`: number under which the ensemble wakes the broker when it was asleep */
  readonly waitForChange: {
    readonly input: {
      readonly conditions: readonly ClusterCondition[];
      readonly timeoutMs: number;
      readonly session: SessionId;
      readonly owner: number;
    };
    readonly value: Waited;
  };
}

/** Name of a call of a node. */
export type NodeCallName = keyof NodeCalls;

/** One call of a node of the ensemble. */
export type NodeCall<Name extends NodeCallName = NodeCallName> = {
  readonly [Each in Name]: { readonly name: Each } & NodeCalls[Each]["input"];
}[Name];

/** Result of a call of a node. */
export type NodeValue<Name extends NodeCallName> = NodeCalls[Name]["value"];

/** The answer of a node; undefined: the call broke, or took too long, and its outcome is unknown. */
export type NodeAnswer<Name extends NodeCallName = NodeCallName> = Outcome<NodeValue<Name>> | undefined;

/** One call of a partition's object. */
export type PartitionCall = { readonly topicId: string; readonly partition: number } & (
  | { readonly name: "leaderAndIsr"; readonly leadership: Leadership }
  | { readonly name: "remove"; readonly controllerEpoch: number }
  | { readonly name: "bounds" }
);

/** How a parked call of another broker returned. */
export type Parked = "AWAKE" | "ASLEEP";

/** What a program asks for. */
export type BrokerStep =
  | { readonly type: "now" }
  | { readonly type: "pause"; readonly ms: number }
  /** one call of a node */
  | { readonly type: "node"; readonly sid: number; readonly call: NodeCall; readonly timeoutMs: number }
  /** reads at one node, made together */
  | {
      readonly type: "reads";
      readonly sid: number;
      readonly calls: readonly NodeCall<"read">[];
      readonly timeoutMs: number;
    }
  /** a wait for changes at one node; it ends early when the session moves to another node or is gone */
  | {
      readonly type: "wait";
      readonly sid: number;
      readonly call: NodeCall<"waitForChange">;
      readonly timeoutMs: number;
    }
  /** waits until the writes before this one are done; `endTurn` lets the next one begin */
  | { readonly type: "turn" }
  | { readonly type: "endTurn" }
  /** calls of partitions, a few at a time */
  | { readonly type: "partitions"; readonly calls: readonly PartitionCall[]; readonly timeoutMs: number }
  /** a call that another broker holds open while it lives */
  | { readonly type: "park"; readonly broker: number; readonly timeoutMs: number }
  /** asks another broker for its session; the timeout begins when the call is made, not when the step is */
  | { readonly type: "probe"; readonly broker: number; readonly timeoutMs: number }
  /** a new random id, as Kafka's of clusters and topics are */
  | { readonly type: "newId" }
  /** stores the session that this life of the broker has */
  | { readonly type: "storeSession"; readonly session: SessionId }
  /** runs another program beside this one */
  | { readonly type: "start"; readonly program: Program<void> }
  /** the view may have changed: programs that wait for a change look again */
  | { readonly type: "show" }
  /** waits for the next `show` */
  | { readonly type: "shown"; readonly timeoutMs: number }
  /** stops with the ensemble until the broker is woken */
  | { readonly type: "sleep"; readonly isController: boolean };

/** *map type of a step → its result* */
export interface StepResults {
  readonly now: null;
  readonly pause: null;
  readonly node: NodeAnswer;
  readonly reads: readonly NodeAnswer<"read">[];
  /** undefined: the call broke. Null: it ended early, or at the timeout */
  readonly wait: NodeAnswer<"waitForChange"> | null;
  readonly turn: null;
  readonly endTurn: null;
  /** in the order of the calls; undefined: it was not reached, or took too long */
  readonly partitions: readonly (PartitionAnswer<LogBounds | object> | undefined)[];
  /** undefined: the call broke */
  readonly park: Parked | undefined;
  /** null: it has none. Undefined: it did not answer */
  readonly probe: SessionId | null | undefined;
  readonly newId: string;
  /** false: the storage failed */
  readonly storeSession: boolean;
  readonly start: null;
  readonly show: null;
  readonly shown: null;
  readonly sleep: null;
}

/** What a program is resumed with: the result of its step, and the time. */
export interface Resumed {
  /** ms since 1970 */
  readonly nowMs: number;
  readonly result: StepResults[keyof StepResults];
}

/** A coroutine: yields a step, and is resumed with its result. */
export type Program<T> = Generator<BrokerStep, T, Resumed>;

/** Yields a step; its result has the type of that step. */
export function* perform<Type extends BrokerStep["type"]>(
  step: Extract<BrokerStep, { readonly type: Type }>,
): Program<StepResults[Type]> {
  const { result } = yield step;
  return result as StepResults[Type];
}

/** ms since 1970 */
export function* now(): Program<number> {
  const { nowMs } = yield { type: "now" };
  return nowMs;
}

/** Waits. @returns ms since 1970, afterwards */
export function* pause(ms: number): Program<number> {
  const { nowMs } = yield { type: "pause", ms };
  return nowMs;
}
