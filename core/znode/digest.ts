/**
 * The digest: 64 bits that are equal on two members exactly when (but for chance) their trees and sessions
 * are equal, whatever history led there. It is the sum modulo 2^64 of one hash per znode and per session,
 * so a change costs two hashes and an order of summation does not exist.
 *
 * It covers everything a checkpoint keeps of a znode (path, data, numbers). Children follow from the paths.
 * Of a session it covers id, timeout and the last answered xid with its zxid and kind of result: the rest of the
 * result follows from the tree at that zxid.
 *
 * The digest of a checkpoint is stored beside it (`digest` in `core/server/storage.ts`), and members compare theirs. A
 * version that hashes differently has to store it under another key, or every member takes its own checkpoint for damaged
 * and forgets it; and it has to tell its peers, or they find that their trees differ.
 *
 * @source the idea: ZooKeeper `DigestCalculator`; the hash differs (two lanes instead of a CRC-32)
 */

import { ZOO_ERRORS } from "../errors.ts";
import { type Chain, chainHash, finishHash, mixFirst, mixSecond, newLanes, viewOf } from "../hash/chain.ts";
import type { Session } from "./session.ts";
import type { Znode } from "./stat.ts";
import type { WriteResult } from "./types.ts";

const TWO_32 = 2 ** 32;
/** Distinguish the hash of a znode from that of a session with the same words. */
const SEED_ZNODE = 0x5a4e4f44;
const SEED_SESSION = 0x53455353;
const SEED_DATA_NULL = 0x6e756c6c;

const scratch = newLanes();

/** Hashes what never changes while a znode exists: path, creation, owner. */
export function hashIdentity(node: Znode): void {
  const { path, czxid, ctime, ephemeralOwner } = node;
  let h1 = SEED_ZNODE;
  let h2 = path.length;
  for (let i = 0; i < path.length; i += 2) {
    h1 = mixFirst(h1, h2, path.charCodeAt(i));
    h2 = mixSecond(h2, h1, i + 1 < path.length ? path.charCodeAt(i + 1) : -1);
  }
  h1 = mixFirst(h1, h2, czxid.epoch);
  h2 = mixSecond(h2, h1, czxid.counter);
  h1 = mixFirst(h1, h2, (ctime / TWO_32) | 0);
  h2 = mixSecond(h2, h1, ctime | 0);
  h1 = mixFirst(h1, h2, (ephemeralOwner / TWO_32) | 0);
  h2 = mixSecond(h2, h1, ephemeralOwner | 0);
  node.identityFirst = h1;
  node.identitySecond = h2;
}

/** Hashes the data; to be called whenever they change. */
export function hashData(node: Znode): void {
  if (node.data === null) {
    node.dataFirst = SEED_DATA_NULL;
    node.dataSecond = 0;
    return;
  }
  chainHash(0, 0, viewOf(node.data), 0, node.data.length, scratch);
  node.dataFirst = scratch[0] as number;
  node.dataSecond = scratch[1] as number;
}

/** Hashes the whole znode into `node.hashHigh` and `node.hashLow`; identity and data must have been hashed. */
export function hashZnode(node: Znode): void {
  const { mzxid, pzxid, mtime } = node;
  let h1 = mixFirst(node.identityFirst, node.identitySecond, node.dataFirst);
  let h2 = mixSecond(node.identitySecond, h1, node.dataSecond);
  h1 = mixFirst(h1, h2, mzxid.epoch);
  h2 = mixSecond(h2, h1, mzxid.counter);
  h1 = mixFirst(h1, h2, pzxid.epoch);
  h2 = mixSecond(h2, h1, pzxid.counter);
  h1 = mixFirst(h1, h2, (mtime / TWO_32) | 0);
  h2 = mixSecond(h2, h1, mtime | 0);
  h1 = mixFirst(h1, h2, node.version);
  h2 = mixSecond(h2, h1, node.cversion);
  finishHash(h1, h2, node.aversion, scratch);
  node.hashHigh = scratch[0] as number;
  node.hashLow = scratch[1] as number;
}

/** Hashes a session into `session.hashHigh` and `session.hashLow`. */
export function hashSession(session: Session): void {
  let h1 = mixFirst(SEED_SESSION, 0, (session.id / TWO_32) | 0);
  let h2 = mixSecond(0, h1, session.id | 0);
  h1 = mixFirst(h1, h2, session.timeoutMs);
  h2 = mixSecond(h2, h1, session.lastXid);
  h1 = mixFirst(h1, h2, session.lastZxid.epoch);
  h2 = mixSecond(h2, h1, session.lastZxid.counter);
  finishHash(h1, h2, kindOfResult(session.lastResult), scratch);
  session.hashHigh = scratch[0] as number;
  session.hashLow = scratch[1] as number;
}

/** A number that differs for results with different outcomes. */
function kindOfResult(result: WriteResult | null): number {
  if (result === null) return 0;
  switch (result.type) {
    case "create":
      return result.stat === null ? 1 : 15;
    case "delete":
      return 2;
    case "setData":
      return 5;
    case "sync":
      return 9;
    case "check":
      return 13;
    case "multi":
      return 1000 + result.results.length;
    case "createSession":
      return 10;
    case "closeSession":
      return 11;
    case "error":
      return ZOO_ERRORS[result.code].number;
  }
}

/** The sum of two digests. */
export function addDigests(a: Chain, b: Chain): Chain {
  const sum = new Digest(a);
  sum.add(b.high, b.low);
  return sum.value;
}

/** The difference of two digests. */
export function subtractDigests(a: Chain, b: Chain): Chain {
  const difference = new Digest(a);
  difference.subtract(b.high, b.low);
  return difference.value;
}

/** A running sum of hashes modulo 2^64, as two int32 halves. */
export class Digest {
  #high: number;
  #low: number;

  constructor({ high, low }: Chain = { high: 0, low: 0 }) {
    this.#high = high | 0;
    this.#low = low | 0;
  }

  /** Both halves, unsigned. */
  get value(): Chain {
    return { high: this.high, low: this.low };
  }

  /** unsigned */
  get high(): number {
    return this.#high >>> 0;
  }

  /** unsigned */
  get low(): number {
    return this.#low >>> 0;
  }

  add(high: number, low: number): void {
    const before = this.#low;
    const sum = (before + low) | 0;
    // unsigned sum < unsigned addend: it wrapped around
    const carry = sum >>> 0 < before >>> 0 ? 1 : 0;
    this.#low = sum;
    this.#high = (this.#high + high + carry) | 0;
  }

  subtract(high: number, low: number): void {
    const before = this.#low;
    const borrow = before >>> 0 < low >>> 0 ? 1 : 0;
    this.#low = (before - low) | 0;
    this.#high = (this.#high - high - borrow) | 0;
  }
}
