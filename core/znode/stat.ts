/**
 * One znode in memory, and the Stat that a client sees of it.
 * @source ZooKeeper `DataNode`, `StatPersisted`
 */
import { ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import type { ChildNames } from "./child-names.ts";
import type { SessionId, Stat } from "./types.ts";
import { NO_SESSION } from "./types.ts";

/** Stored fields of a znode, without what follows from other znodes (its children). */
export interface ZnodeRow {
  readonly path: string;
  /** null and empty are different data; both have length 0 */
  readonly data: Uint8Array | null;
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly pzxid: Zxid;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  /** stored form: number of children ever created */
  readonly cversion: number;
  readonly aversion: number;
  readonly ephemeralOwner: SessionId;
}

/**
 * A znode of the tree. Only the tree writes to it. `data` is never changed in place: a change stores another array,
 * so earlier readers keep the array that they got.
 */
export class Znode implements ZnodeRow {
  readonly path: string;
  data: Uint8Array | null = null;
  czxid: Zxid = ZXID_ZERO;
  mzxid: Zxid = ZXID_ZERO;
  pzxid: Zxid = ZXID_ZERO;
  ctime = 0;
  mtime = 0;
  version = 0;
  cversion = 0;
  aversion = 0;
  ephemeralOwner: SessionId = NO_SESSION;
  numChildren = 0;
  /** names of the children; null if there are none, or if they have to be read from the store */
  children: ChildNames | null = null;
  /** changed since the last checkpoint */
  dirty = false;
  /** whether it was deleted since the last checkpoint, and so is no longer in the tree */
  gone = false;
  /** changed since its hash was removed from the digest */
  stale = false;
  /** `data` changed too; they may be a view of the batch that contained them */
  staleData = false;
  // parts of the digest, as int32: the hash of the identity never changes, that of the data only with the data
  identityFirst = 0;
  identitySecond = 0;
  dataFirst = 0;
  dataSecond = 0;
  /** this znode's part of the tree's digest */
  hashHigh = 0;
  hashLow = 0;
  /** the same as of the last checkpoint; valid while it is dirty */
  storedHigh = 0;
  storedLow = 0;
  /** its share of the bytes of all changes; 0 while it is clean */
  changedBytes = 0;
  // fields of the cache: index in its ring, approximate bytes, whether it was used, rounds for which it stays without use
  slot = -1;
  bytes = 0;
  used = false;
  rounds = 0;

  constructor(path: string) {
    this.path = path;
  }
}

/** Approximate bytes of a znode in memory without its path, data and list. */
const ZNODE_BYTES = 600;

/** Approximate bytes of a znode in memory without the list of its children. */
export const bytesOf = (node: Znode): number =>
  ZNODE_BYTES + node.path.length + (node.data === null ? 0 : node.data.length);

/** The current Stat of a znode: a copy, which later changes of the znode do not change. */
export function statOf(node: Znode): Stat {
  const numChildren = node.numChildren;
  return {
    czxid: node.czxid,
    mzxid: node.mzxid,
    pzxid: node.pzxid,
    ctime: node.ctime,
    mtime: node.mtime,
    version: node.version,
    cversion: (2 * node.cversion - numChildren) | 0,
    aversion: node.aversion,
    ephemeralOwner: node.ephemeralOwner,
    dataLength: node.data === null ? 0 : node.data.length,
    numChildren,
  };
}

/**
 * The version that follows `version`: int32 with wrap-around, but never −1, which means "any version" in a request.
 * @source ZOOKEEPER-4743
 */
export const nextVersion = (version: number): number => (version === -2 ? 0 : (version + 1) | 0);

/** Whether int32 counter `a` is ahead of `b`; correct across the wrap-around, if they differ by less than 2^31. */
export const isCounterAhead = (a: number, b: number): boolean => ((a - b) | 0) > 0;
