/**
 * The digest: 64 bits that are equal on two members exactly when (but for chance) their trees and sessions
 * are equal, whatever history led there. It is the sum modulo 2^64 of one hash per znode and per session,
 * so a change costs two hashes and an order of summation does not exist.
 *
 * It covers everything a checkpoint keeps of a znode (path, data, numbers). Children follow from the paths.
 * Of a session it covers id, timeout and the last answered xid with its zxid and kind of result: the rest of the
 * result follows from the tree at that zxid.
 *
 * @source the idea: ZooKeeper `DigestCalculator`; the hash differs (two lanes instead of a CRC-32)
 */

import { ZOO_ERRORS } from "../errors.ts";
import { chainHash, finishHash, type Hash64, mixFirst, mixSecond } from "../hash/chain.ts";
import type { Session } from "./session.ts";
import type { Znode } from "./stat.ts";
import type { WriteResult } from "./types.ts";

const TWO_32 = 2 ** 32;
/** Keep a znode's hash and a session's apart, should their words agree. */
const SEED_ZNODE = 0x5a4e4f44;
const SEED_SESSION = 0x53455353;
const SEED_DATA_NULL = 0x6e756c6c;

const scratch: Hash64 = { high: 0, low: 0 };

/** Hashes the path once and for all. */
export function hashPath(node: Znode): void {
  let h1 = SEED_ZNODE;
  let h2 = 0;
  for (let i = 0; i < node.path.length; i += 2) {
    h1 = mixFirst(h1, h2, node.path.charCodeAt(i));
    h2 = mixSecond(h2, h1, i + 1 < node.path.length ? node.path.charCodeAt(i + 1) : -1);
  }
  node.pathFirst = h1;
  node.pathSecond = h2;
}

/** Hashes the data; to be called whenever they change. */
export function hashData(node: Znode): void {
  if (node.data === null) {
    node.dataFirst = SEED_DATA_NULL;
    node.dataSecond = 0;
    return;
  }
  chainHash(0, 0, node.data, 0, node.data.length, scratch);
  node.dataFirst = scratch.high | 0;
  node.dataSecond = scratch.low | 0;
}

/** Hashes the whole znode into `node.hashHigh` and `node.hashLow`; path and data must have been hashed. */
export function hashZnode(node: Znode): void {
  let h1 = mixFirst(node.pathFirst, node.pathSecond, node.dataFirst);
  let h2 = mixSecond(node.pathSecond, h1, node.dataSecond);
  h1 = mixFirst(h1, h2, node.czxid.epoch);
  h2 = mixSecond(h2, h1, node.czxid.counter);
  h1 = mixFirst(h1, h2, node.mzxid.epoch);
  h2 = mixSecond(h2, h1, node.mzxid.counter);
  h1 = mixFirst(h1, h2, node.pzxid.epoch);
  h2 = mixSecond(h2, h1, node.pzxid.counter);
  h1 = mixFirst(h1, h2, (node.ctime / TWO_32) | 0);
  h2 = mixSecond(h2, h1, node.ctime | 0);
  h1 = mixFirst(h1, h2, (node.mtime / TWO_32) | 0);
  h2 = mixSecond(h2, h1, node.mtime | 0);
  h1 = mixFirst(h1, h2, node.version);
  h2 = mixSecond(h2, h1, node.cversion);
  h1 = mixFirst(h1, h2, (node.ephemeralOwner / TWO_32) | 0);
  h2 = mixSecond(h2, h1, node.ephemeralOwner | 0);
  finishHash(h1, h2, node.aversion, scratch);
  node.hashHigh = scratch.high;
  node.hashLow = scratch.low;
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
  session.hashHigh = scratch.high;
  session.hashLow = scratch.low;
}

/** A number that tells results of different outcome apart. */
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

/** A running sum of hashes modulo 2^64. */
export class Digest implements Readonly<Hash64> {
  high = 0;
  low = 0;

  add(high: number, low: number): void {
    const sum = this.low + low;
    this.low = sum >>> 0;
    this.high = (this.high + high + (sum >= TWO_32 ? 1 : 0)) >>> 0;
  }

  subtract(high: number, low: number): void {
    const difference = this.low - low;
    this.low = difference >>> 0;
    this.high = (this.high - high - (difference < 0 ? 1 : 0)) >>> 0;
  }
}
