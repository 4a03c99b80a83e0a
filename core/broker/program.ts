/**
 * The activities of a broker, as coroutines: a {@link Program} yields one step and receives its result. The core decides
 * the steps; the object `Broker`, or the simulator, makes the calls, waits and keeps time.
 *
 * A crash ends all programs between two steps. Only state in memory is lost: a program reads the current state from the ensemble.
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

/** A result, or the code of an operating error. */
export type Outcome<T, Code extends string = ZooErrorCode> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: Code; readonly message: string };

/** An operating error as a value. */
export const failure = <Code extends string>(code: Code, message: string) =>
  ({ ok: false, code, message }) as const;

/** The result of a wait for changes. */
export interface Waited {
  /** indexes of the conditions that are outdated; empty on timeout */
  readonly changed: readonly number[];
  /** the ensemble has fallen asleep in this epoch */
  readonly asleep?: number;
}

/** *map call of a node → its argument and its result* */
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
  /** `owner`: number under which the ensemble wakes the broker */
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

/** The answer of a node; undefined if the call broke or timed out, so that its outcome is unknown. */
export type NodeAnswer<Name extends NodeCallName = NodeCallName> = Outcome<NodeValue<Name>> | undefined;

/** One call of a partition's object. */
export type PartitionCall = { readonly topicId: string; readonly partition: number } & (
  | { readonly name: "leaderAndIsr"; readonly leadership: Leadership }
  | { readonly name: "remove"; readonly controllerEpoch: number }
  | { readonly name: "bounds" }
);

/** The result of a parked call at another broker. */
export type Parked = "AWAKE" | "ASLEEP";

/** A step of a program. */
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
  /** a wait for changes at one node; it ends early if the session moves to another node or is lost */
  | {
      readonly type: "wait";
      readonly sid: number;
      readonly call: NodeCall<"waitForChange">;
      readonly timeoutMs: number;
    }
  /** waits until earlier writes have ended; `endTurn` starts the next one */
  | { readonly type: "turn" }
  | { readonly type: "endTurn" }
  /** calls of partitions, a few at a time */
  | { readonly type: "partitions"; readonly calls: readonly PartitionCall[]; readonly timeoutMs: number }
  /** a call that another broker keeps open while it lives */
  | { readonly type: "park"; readonly broker: number; readonly timeoutMs: number }
  /** asks another broker for its session; the timeout begins with the call, not with the step */
  | { readonly type: "probe"; readonly broker: number; readonly timeoutMs: number }
  /** a new random id, as Kafka's of clusters and topics are */
  | { readonly type: "newId" }
  /** stores the session of this life of the broker */
  | { readonly type: "storeSession"; readonly session: SessionId }
  /** runs another program beside this one */
  | { readonly type: "start"; readonly program: Program<void> }
  /** reports that the view may have changed: programs that wait for a change check again */
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
  /** undefined if the call broke; null if it ended early or timed out */
  readonly wait: NodeAnswer<"waitForChange"> | null;
  readonly turn: null;
  readonly endTurn: null;
  /** in the order of the calls; undefined if a partition was not reached, or timed out */
  readonly partitions: readonly (PartitionAnswer<LogBounds | object> | undefined)[];
  /** undefined if the call broke */
  readonly park: Parked | undefined;
  /** null if it has none; undefined if it did not answer */
  readonly probe: SessionId | null | undefined;
  readonly newId: string;
  /** false if the storage failed */
  readonly storeSession: boolean;
  readonly start: null;
  readonly show: null;
  readonly shown: null;
  readonly sleep: null;
}

/** The value with which a program is resumed: the result of its step, and the time. */
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

/** The current time; ms since 1970. */
export function* now(): Program<number> {
  const { nowMs } = yield { type: "now" };
  return nowMs;
}

/** Waits for `ms`. @returns the time afterwards, ms since 1970 */
export function* pause(ms: number): Program<number> {
  const { nowMs } = yield { type: "pause", ms };
  return nowMs;
}
