/**
 * The value types of the znode tree: what a request asks, what a txn changes, what an answer says.
 * @source ZooKeeper `zookeeper.jute`
 */
import type { ZooErrorCode } from "../errors.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { PageRequest } from "./children-page.ts";

declare const sessionBrand: unique symbol;
/**
 * A session: a safe integer. 0 is no session. The top four of its 53 bits hold the sid of the node that opened it
 * (1–9), the other 49 are random. 15 in the top bits marks the origin of a request that came without a session
 * (the node that took it, and which of its lives), which the session table never holds.
 */
export type SessionId = number & { readonly [sessionBrand]: true };

/** What requests without a session carry. */
export const NO_SESSION = 0 as SessionId;
const TOP = 2 ** 49;
const ANONYMOUS_BASE = 15 * TOP;

/** The id of a new session: `random` is an integer of [0, 2^49). */
export const makeSessionId = (sid: number, random: number): SessionId => (sid * TOP + random) as SessionId;

/** The sid of the node that opened the session. */
export const openerOf = (id: SessionId): number => Math.floor(id / TOP);

/**
 * The stand-in session of requests that carry none, taken by node `sid` in its `boot`-th life. A node on an old copy of its
 * storage counts a life twice, so the number alone would not do.
 * @param nonce random, of [0, 2^32), drawn for this life
 */
export const anonymousSession = (sid: number, boot: number, nonce: number): SessionId =>
  (ANONYMOUS_BASE + sid * 2 ** 45 + (boot % 2 ** 13) * 2 ** 32 + nonce) as SessionId;

/** Is it the stand-in of requests without a session ({@link anonymousSession})? */
export const isAnonymous = (id: SessionId): boolean => id >= ANONYMOUS_BASE;

/** Sixteen hex digits behind `0x`, as ZooKeeper prints session ids. */
export const sessionToText = (id: SessionId): string => `0x${id.toString(16).padStart(16, "0")}`;

/** Reads {@link sessionToText}; undefined when it is no id that a client can hold. */
export function sessionFromText(text: string): SessionId | undefined {
  if (!/^0x[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const value = Number.parseInt(text.slice(2), 16);
  return Number.isSafeInteger(value) && value > 0 && value < ANONYMOUS_BASE
    ? (value as SessionId)
    : undefined;
}

/** What a client sees of a znode. Times are ms since 1970, from the leader's clock as the txn carries it. */
export interface Stat {
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  /** zxid of the last change of the children */
  readonly pzxid: Zxid;
  readonly ctime: number;
  readonly mtime: number;
  /** changes of the data */
  readonly version: number;
  /** changes of the children, as ZooKeeper shows it: 2 × creations − children */
  readonly cversion: number;
  readonly aversion: number;
  /** owner of an ephemeral, else {@link NO_SESSION} */
  readonly ephemeralOwner: SessionId;
  /** bytes */
  readonly dataLength: number;
  readonly numChildren: number;
}

/** Create modes, with ZooKeeper's flag numbers. */
export const CreateMode = {
  PERSISTENT: 0,
  EPHEMERAL: 1,
  PERSISTENT_SEQUENTIAL: 2,
  EPHEMERAL_SEQUENTIAL: 3,
} as const;
export type CreateMode = (typeof CreateMode)[keyof typeof CreateMode];

/** One change that a client asks for. `version` −1 means any. */
export type ChangeRequest =
  | {
      readonly type: "create";
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly mode: CreateMode;
      /** answer with the Stat too (ZooKeeper's create2) */
      readonly withStat: boolean;
    }
  | { readonly type: "delete"; readonly path: string; readonly version: number }
  | {
      readonly type: "setData";
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly version: number;
    };

/** An element of a multi. */
export type MultiRequestOp =
  | ChangeRequest
  | { readonly type: "check"; readonly path: string; readonly version: number }
  /** an operation that its decoder refused (a flag, an ACL): it fails when its turn comes, as ZooKeeper has it */
  | { readonly type: "refused"; readonly code: ZooErrorCode };

/** A write: it becomes one txn. */
export type WriteRequest =
  | ChangeRequest
  | { readonly type: "multi"; readonly ops: readonly MultiRequestOp[] }
  /** opens the session named in the txn's header */
  | { readonly type: "createSession"; readonly timeoutMs: number }
  /** closes the session named in the txn's header */
  | { readonly type: "closeSession" }
  /** changes nothing; carries a zxid that a quorum commits */
  | { readonly type: "sync" };

/** A read, answered from the tree of the node that takes it. */
export type ReadRequest =
  | { readonly type: "exists"; readonly path: string; readonly watch: boolean }
  | { readonly type: "getData"; readonly path: string; readonly watch: boolean }
  | {
      readonly type: "getChildren";
      readonly path: string;
      readonly watch: boolean;
      readonly withStat: boolean;
      /** a part of the list; absent: all of it */
      readonly page?: PageRequest;
      /** bytes of the answer; a whole list that is larger is ANSWER_TOO_LARGE, a page ends before. Absent: no bound */
      readonly bytesMax?: number;
    }
  /** the ephemerals of the session that asks */
  | {
      readonly type: "getEphemerals";
      /** what their paths begin with; blank or "/": all */
      readonly prefixPath: string;
      /** bytes of the answer; a list that is larger is ANSWER_TOO_LARGE. Absent: no bound */
      readonly bytesMax?: number;
    };

/** Type of a read. */
export type ReadType = ReadRequest["type"];

/** The requests of these reads. */
export type ReadRequestOf<Type extends ReadType> = Extract<ReadRequest, { readonly type: Type }>;

/** Reads of one znode. Each names its path, may leave a watch on it, and finds its Stat; other reads need not. */
export type ZnodeReadType = "exists" | "getData" | "getChildren";

/** *map type of a read → what it found* A read without a line here does not compile. */
export interface ReadResults {
  readonly exists: { readonly type: "exists"; readonly stat: Stat };
  readonly getData: { readonly type: "getData"; readonly data: Uint8Array | null; readonly stat: Stat };
  readonly getChildren: {
    readonly type: "getChildren";
    readonly children: readonly string[];
    readonly stat: Stat;
    /** of a page: names follow; absent: the whole list was asked for */
    readonly more?: boolean;
  };
  readonly getEphemerals: { readonly type: "getEphemerals"; readonly ephemerals: readonly string[] };
}

/** What these reads found. */
export type ReadResult<Type extends ReadType = ReadType> = ReadResults[Type];

/** Outcome of these reads. */
export type ReadOutcome<Type extends ReadType = ReadType> =
  | ReadResult<Type>
  | { readonly type: "error"; readonly code: ZooErrorCode };

/** A change with its outcome fixed: applying it twice gives the same tree. */
export type Txn =
  | {
      readonly type: "create";
      /** final path, with the sequence suffix */
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly ephemeral: boolean;
      /** stored cversion of the parent after this txn */
      readonly parentCversion: number;
      readonly withStat: boolean;
    }
  | { readonly type: "delete"; readonly path: string }
  | {
      readonly type: "setData";
      readonly path: string;
      readonly data: Uint8Array | null;
      /** version after this txn */
      readonly version: number;
    }
  | { readonly type: "check"; readonly path: string; readonly version: number }
  | { readonly type: "multi"; readonly txns: readonly Txn[] }
  | { readonly type: "createSession"; readonly timeoutMs: number }
  /** the ephemerals that go with it follow from the tree */
  | { readonly type: "closeSession" }
  | { readonly type: "sync" }
  /** a refused write; `ops` > 0: it was a multi of so many operations and number `at` failed */
  | { readonly type: "error"; readonly code: ZooErrorCode; readonly ops: number; readonly at: number };

/** What every txn carries beside its change. */
export interface TxnHeader {
  readonly session: SessionId;
  /** number of the request within its session; 0 for txns of the leader itself */
  readonly xid: number;
  readonly zxid: Zxid;
  /** ms since 1970, leader's clock */
  readonly timeMs: number;
}

/** Outcome of one change. */
export type ChangeResult =
  | { readonly type: "create"; readonly path: string; readonly stat: Stat | null }
  | { readonly type: "delete" }
  | { readonly type: "setData"; readonly stat: Stat }
  | { readonly type: "check" }
  | { readonly type: "error"; readonly code: ZooErrorCode };

/** Outcome of a write. */
export type WriteResult =
  | ChangeResult
  | { readonly type: "multi"; readonly results: readonly ChangeResult[] }
  | { readonly type: "createSession"; readonly timeoutMs: number }
  | { readonly type: "closeSession" }
  | { readonly type: "sync" };

/** Watch events, with ZooKeeper's numbers. */
export const WatchEventType = { CREATED: 1, DELETED: 2, DATA_CHANGED: 3, CHILDREN_CHANGED: 4 } as const;
export type WatchEventType = (typeof WatchEventType)[keyof typeof WatchEventType];

/** Watches by the read that leaves them: getData, an exists that found nothing, getChildren. */
export type WatchKind = "data" | "exists" | "child";

/** A watch that a read leaves. */
export interface WatchOfRead {
  readonly kind: WatchKind;
  readonly path: string;
}

/** What a watch fires with. */
export interface WatchEvent {
  readonly type: WatchEventType;
  readonly path: string;
}
