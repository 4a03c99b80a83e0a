/** What a node answers over RPC. Only plain data crosses. */
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
      /** sid of the leader that this node knows of */
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
  /** 0 together with xid 0: a write without a session; its outcome may stay unknown */
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
  /** zxid text of what the client has seen: nothing older is an answer; BAD_ARGUMENTS when no quorum knows of it */
  readonly atLeast?: string | undefined;
  /** of an object of ours: it does not keep the ensemble awake */
  readonly background?: boolean;
}

/** An object of ours with a session that sleeps and wakes with the ensemble: broker `owner`. */
export interface SessionOwner {
  readonly session: SessionId;
  readonly owner: number;
}

/** How a wait ended. */
export interface Waited {
  /** indexes of the conditions that are outdated; empty on timeout */
  readonly changed: readonly number[];
  /** the ensemble has fallen asleep in this epoch: stop, until it wakes you or you need it. Only for owners */
  readonly asleep?: number;
}

/** What a caller of `waitForChange` has seen last. */
export interface WatchCondition {
  readonly path: string;
  readonly kind: "data" | "children" | "exists";
  /** zxid text: mzxid (data, exists) or pzxid (children) of what was seen; "0x0" for a missing znode */
  readonly since: string;
}

/** How a node sees one of its peers. */
export interface PingStatus {
  readonly sid: number;
  /** round trip of the last ping, ms; null before the first and while the peer is silent */
  readonly rttMs: number | null;
  /** of its protocol; null: it has said nothing in this life; absent: the answering node is of version 1 */
  readonly version?: number | null;
  /** why its last message that was not understood was refused; absent: all were understood */
  readonly refused?: string;
  readonly heardMsAgo: number | null;
  /** role the peer last told of itself */
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
  /** number of this life of the member; a life follows each loss of memory */
  readonly boot: number;
  /** of its protocol; absent: 1 */
  readonly version?: number;
  /** id of the last event of `/v1/events` before this status; absent: a node of an earlier version */
  readonly lastEvent?: string;
  readonly sessions: number;
  readonly znodes: number;
  readonly watches: number;
  /** elections this instance has taken part in */
  readonly elections: number;
  /** in broadcast as leader or follower */
  readonly serving: boolean;
  /** why it does not serve although it is up, in words: its storage was damaged, trees differ; absent: nothing is known */
  readonly reason?: string;
  /** what of its storage was found damaged, so that it counts in no quorum until it has synchronised; absent: nothing */
  readonly damage?: string;
  /** the rows in which the damage was found are kept in the tables `quarantine_…` of its database; absent: none are */
  readonly quarantined?: true;
  /** asleep; all the rest is as it was when it fell asleep */
  readonly quiet: boolean;
  /** ms since 1970; null while awake */
  readonly quietSince: number | null;
  /** what it has cost so far; asleep: as written then */
  readonly counters: Counters;
  /** calls that led to the deepest event so far; the platform allows 16. Absent: an earlier version */
  readonly callDepth?: number;
  readonly pings: readonly PingStatus[];
}

/** What can be done to a node. `ttlMs` null: until it is healed. */
export type NodeFault =
  /** memory lost, storage kept; `evict` lets storage finish first, as the platform does when it moves an object */
  | { readonly fault: "crash" | "evict" }
  /** storage lost; the node knows who it is, and nothing else */
  | { readonly fault: "wipe"; readonly force: boolean }
  | {
      readonly fault: "corrupt";
      readonly row: "oldest" | "newest";
      readonly ttlMs: number | null;
      readonly force: boolean;
    }
  | (Exclude<Fault, { fault: "corrupt" }> & { readonly ttlMs: number | null; readonly seed?: number });

/** Answer to an order of a node whose database cannot be read: it does not know its peers, and has done nothing. */
export const UNKNOWN_PEERS = -1;

/** The methods that the Worker and other objects may call on a node. */
export interface ZooWeeperNodeRpc {
  bootstrap(config: NodeConfig): Promise<Answer<{ readonly created: boolean }>>;
  write(input: WriteInput): Promise<Answer<WriteResult>>;
  read<Request extends ReadRequest>(input: ReadInput<Request>): Promise<Answer<ReadResult<Request["type"]>>>;
  openSession(
    timeoutMs: number,
  ): Promise<Answer<{ readonly session: SessionId; readonly timeoutMs: number }>>;
  /** @param background a heartbeat of an object of ours: it does not keep the ensemble awake */
  touchSession(session: SessionId, background?: boolean): Promise<Answer<{ readonly timeoutMs: number }>>;
  closeSession(session: SessionId): Promise<Answer<null>>;
  /** Waits until one condition is newer than seen; level-triggered. An owner's wait does not keep the ensemble awake. */
  waitForChange(input: {
    readonly conditions: readonly WatchCondition[];
    readonly timeoutMs: number;
    readonly owner?: SessionOwner;
  }): Promise<Answer<Waited>>;
  /**
   * Wakes nothing: a sleeping node answers from memory or from its stored state.
   * @param depth of the event that calls; absent: it is not known
   */
  status(depth?: number): Promise<NodeStatus>;
  /**
   * Breaks the node; only where `FAULTS` is "on". No other object is informed. kill, crash, evict, wipe and corrupt end the
   * object, so the call itself rejects; corrupt resolves when there is nothing to damage. A node that is not forced to
   * lose its storage keeps it unless a majority of others is whole.
   * @returns how many others are whole, if they are too few; {@link UNKNOWN_PEERS}
   */
  fault(fault: "kill" | "revive" | "crash" | NodeFault): Promise<number | undefined>;
  /** Ends one fault, or all. @returns those that were on */
  heal(fault?: FaultName): Promise<readonly FaultName[]>;
  /** What is on; also from a node that is killed or paused. */
  faults(): Promise<readonly FaultView[]>;
}
