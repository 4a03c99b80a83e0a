/** Arguments and results of the SDK. */
import type { SessionId, Stat } from "../../core/znode/types.ts";
import type { OpenSocket } from "./socket.ts";

/** Identifies a session. Its holder can continue the session. */
export interface SessionTicket {
  readonly id: SessionId;
  readonly password: Uint8Array;
}

/** Mode of a new znode. */
export type Mode = "persistent" | "ephemeral" | "persistent-sequential" | "ephemeral-sequential";

/** Data of a znode, as an argument: text is stored as UTF-8, null means no data. */
export type Data = Uint8Array | string | null;

/** One operation of a multi. `version` absent: any. */
export type MultiOp =
  | { readonly op: "create"; readonly path: string; readonly data?: Data; readonly mode?: Mode }
  | { readonly op: "set"; readonly path: string; readonly data: Data; readonly version?: number }
  | { readonly op: "delete"; readonly path: string; readonly version?: number }
  | { readonly op: "check"; readonly path: string; readonly version: number };

/** Result of one operation of a successful multi. */
export type MultiResult =
  | { readonly op: "create"; readonly path: string }
  | { readonly op: "set"; readonly stat: Stat }
  | { readonly op: "delete" }
  | { readonly op: "check" };

/** The event of a watch. A read sets a watch, which fires once. */
export interface WatchEvent {
  readonly type: "created" | "deleted" | "changed" | "children";
  readonly path: string;
}

/** Called with the event that fired a watch. */
export type WatchListener = (event: WatchEvent) => void;

/** Options of a read. */
export interface ReadOptions {
  /** called once, at the next change of what was read; not called when the session ends */
  readonly watch?: WatchListener | undefined;
}

/** What `get` gives. `data` is null where the znode has no data at all. */
export interface ZnodeValue {
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

/** What `children` gives: names without the path of their parent, and its Stat. */
export interface ZnodeChildren {
  readonly children: readonly string[];
  readonly stat: Stat;
}

/** disconnected: requests wait, and the session may expire meanwhile. expired and closed are final. */
export type SessionState = "connected" | "disconnected" | "expired" | "closed";

/** Options of `connect`. Times are ms. */
export interface ConnectOptions {
  /** time for which the session exists without a connection; the server may grant less or more. Default 10 s */
  readonly timeoutMs?: number;
  /**
   * time for which `connect` makes attempts, ms: it resolves or rejects within it, or soon after. Default 15 s; Infinity:
   * until the signal fires
   */
  readonly connectTimeoutMs?: number;
  /** a session to continue, from `Session.ticket` */
  readonly ticket?: SessionTicket;
  /**
   * time for which the SDK tries to replace a lost connection before the session ends, ms. Default: twice the
   * session's timeout, at least 30 s; 0: it does not try
   */
  readonly reconnectMs?: number;
  /** how to open a WebSocket; default: the platform's */
  readonly openSocket?: OpenSocket;
  /** cancels connecting */
  readonly signal?: AbortSignal;
}
