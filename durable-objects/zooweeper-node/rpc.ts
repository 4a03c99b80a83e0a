/** The RPC interface of a node. Only plain data are sent. */
import type { ZooErrorCode } from "../../core/errors.ts";

export type { ReadResult } from "../../core/znode/types.ts";

import type {
  ReadRequest,
  ReadResult,
  SessionId,
  WriteRequest,
  WriteResult,
} from "../../core/znode/types.ts";
import type { Counters } from "../shared/counters.ts";
import type { Fault, FaultName, FaultView } from "../shared/faults.ts";

/** An answer of a node: operating errors are values, never exceptions. */
export type Answer<T> =
  | {
      readonly ok: true;
      /** last zxid that the answering node has applied, as `0x…` text */
      readonly zxid: string;
      readonly value: T;
    }
  | {
      readonly ok: false;
      readonly code: ZooErrorCode;
      readonly message: string;
      /** sid of the leader known to this node */
      readonly leader?: number;
      readonly zxid?: string;
    };

/** Identity of a member, stored at its founding. */
export interface NodeConfig {
  readonly ensemble: string;
  /** 1 ≤ sid ≤ size */
  readonly sid: number;
  /** number of members: 1, 3, 5, 7 or 9 */
  readonly size: number;
}

/** A write, with the number that identifies it in its session. */
export interface WriteInput {
  /** 0 together with xid 0 for a write without a session, whose outcome may stay unknown */
  readonly session: SessionId;
  readonly xid: number;
  readonly request: WriteRequest;
}

/** A read, with the consistency that it needs. */
export interface ReadInput<Request extends ReadRequest = ReadRequest> {
  readonly session: SessionId;
  readonly request: Request;
  readonly consistency: "local" | "linearizable";
  /** answer even when this node is not part of a quorum */
  readonly stale: boolean;
  /** zxid that the client has seen, as text: no older state is answered; BAD_ARGUMENTS if no quorum has it */
  readonly atLeast?: string | undefined;
  /** set by this system's own objects: the read does not keep the ensemble awake */
  readonly background?: boolean;
}

/** An object of this system whose session sleeps and wakes with the ensemble: broker `owner`. */
export interface SessionOwner {
  readonly session: SessionId;
  readonly owner: number;
}

/** The result of a wait. */
export interface Waited {
  /** indexes of the conditions that are outdated; empty on timeout */
  readonly changed: readonly number[];
  /**
   * the ensemble has fallen asleep in this epoch; the caller should stop until it is woken or needs the ensemble. Only for
   * owners
   */
  readonly asleep?: number;
}

/** The last state that a caller of `waitForChange` has seen. */
export interface WatchCondition {
  readonly path: string;
  readonly kind: "data" | "children" | "exists";
  /** mzxid (data, exists) or pzxid (children) that was seen, as text; "0x0" for a missing znode */
  readonly since: string;
}

/** A node's view of one of its peers. */
export interface PingStatus {
  readonly sid: number;
  /** round trip of the last ping, ms; null before the first and while the peer is silent */
  readonly rttMs: number | null;
  /** version of its protocol; null if it has sent nothing in this life; absent if the answering node has version 1 */
  readonly version?: number | null;
  /** why its last unknown or unreadable message was refused; absent if there was none */
  readonly refused?: string;
  readonly heardMsAgo: number | null;
  /** role that the peer last reported */
  readonly role: string | null;
}

/** Status of a node, as it reports it. */
export interface NodeStatus extends NodeConfig {
  readonly role: "LOOKING" | "FOLLOWING" | "LEADING";
  readonly phase: "ELECTION" | "DISCOVERY" | "SYNCHRONIZATION" | "BROADCAST";
  readonly leader: number | null;
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  readonly lastZxid: string;
  readonly committedZxid: string;
  readonly appliedZxid: string;
  /** digest of tree and sessions at appliedZxid, 16 hex digits */
  readonly digest: string;
  /** sids in the active set; complete at the leader only */
  readonly activeSet: readonly number[];
  /** number of this life of the member; each loss of memory begins a new one */
  readonly boot: number;
  /** version of its protocol; absent: 1 */
  readonly version?: number;
  /** id of the last event of `/v1/events` before this status; absent in an earlier version */
  readonly lastEvent?: string;
  readonly sessions: number;
  readonly znodes: number;
  readonly watches: number;
  /** number of elections that this instance has taken part in */
  readonly elections: number;
  /** in broadcast as leader or follower */
  readonly serving: boolean;
  /**
   * why it does not serve although it is up, as a sentence: its storage was damaged, trees differ, …; absent if no reason
   * is known
   */
  readonly reason?: string;
  /** the part of its storage that was found damaged, so that it counts in no quorum until it has synchronised; absent if none */
  readonly damage?: string;
  /** whether the damaged rows are kept in the tables `quarantine_…` of its database */
  readonly quarantined?: true;
  /** asleep; all other fields are as of the time when it fell asleep */
  readonly quiet: boolean;
  /** ms since 1970; null while awake */
  readonly quietSince: number | null;
  /** its costs so far; asleep: as stored when it fell asleep */
  readonly counters: Counters;
  /** greatest depth of an event so far; the platform allows 16. Absent in an earlier version */
  readonly callDepth?: number;
  readonly pings: readonly PingStatus[];
}

/** A fault of a node. `ttlMs` null: until it is healed. */
export type NodeFault =
  /** memory lost, storage kept; `evict` lets storage finish first, as the platform does when it moves an object */
  | { readonly fault: "crash" | "evict" }
  /** storage lost, except for the node's identity */
  | { readonly fault: "wipe"; readonly force: boolean }
  | {
      readonly fault: "corrupt";
      readonly row: "oldest" | "newest";
      readonly ttlMs: number | null;
      readonly force: boolean;
    }
  | (Exclude<Fault, { fault: "corrupt" }> & { readonly ttlMs: number | null; readonly seed?: number });

/** Answer of a node whose database cannot be read: it does not know its peers, and has not carried out the order. */
export const UNKNOWN_PEERS = -1;

/** The methods that the Worker and other objects may call on a node. */
export interface ZooWeeperNodeRpc {
  bootstrap(config: NodeConfig): Promise<Answer<{ readonly created: boolean }>>;
  write(input: WriteInput): Promise<Answer<WriteResult>>;
  read<Request extends ReadRequest>(input: ReadInput<Request>): Promise<Answer<ReadResult<Request["type"]>>>;
  openSession(
    timeoutMs: number,
  ): Promise<Answer<{ readonly session: SessionId; readonly timeoutMs: number }>>;
  /** @param background whether it is a heartbeat of one of this system's objects, which does not keep the ensemble awake */
  touchSession(session: SessionId, background?: boolean): Promise<Answer<{ readonly timeoutMs: number }>>;
  closeSession(session: SessionId): Promise<Answer<null>>;
  /** Waits until one condition is newer than seen; level-triggered. An owner's wait does not keep the ensemble awake. */
  waitForChange(input: {
    readonly conditions: readonly WatchCondition[];
    readonly timeoutMs: number;
    readonly owner?: SessionOwner;
  }): Promise<Answer<Waited>>;
  /**
   * Does not wake the ensemble: a sleeping node answers from memory or from its stored state.
   * @param depth depth of the calling event; absent if unknown
   */
  status(depth?: number): Promise<NodeStatus>;
  /**
   * Inflicts a fault; only if `FAULTS` is "on". No other object is informed. kill, crash, evict, wipe and corrupt end the
   * object, so the call itself rejects; corrupt resolves if there is nothing to damage. Without `force`, a node loses its
   * storage only if a majority of the members is undamaged.
   * @returns the number of undamaged others, if they are too few; {@link UNKNOWN_PEERS}
   */
  fault(fault: "kill" | "revive" | "crash" | NodeFault): Promise<number | undefined>;
  /** Ends one fault, or all. @returns those that were active */
  heal(fault?: FaultName): Promise<readonly FaultName[]>;
  /** The active faults, also of a node that is killed or paused. */
  faults(): Promise<readonly FaultView[]>;
}
