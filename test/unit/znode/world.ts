/**
 * A leader and a follower without a network: prep and tree of the leader, the tree of the follower, and the codec
 * between them. Every txn is encoded and decoded, and both digests are compared after each.
 */
import { expect } from "vitest";
import { appendTxn, TxnCursor } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { type Zxid, zxid } from "../../../core/zab/zxid.ts";
import { Prep } from "../../../core/znode/prep.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import {
  CreateMode,
  makeSessionId,
  NO_SESSION,
  type SessionId,
  type Stat,
  type Txn,
  type WatchEvent,
  type WriteRequest,
  type WriteResult,
} from "../../../core/znode/types.ts";

export const START_MS = 1_700_000_000_000;

/** The n-th session of a test. */
export const sessionId = (n: number): SessionId => makeSessionId(1, n);

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const create = (path: string, mode: CreateMode = CreateMode.PERSISTENT, data = ""): WriteRequest => ({
  type: "create",
  path,
  data: bytes(data),
  mode,
  withStat: true,
});

export const setData = (path: string, data: string | null, version = -1): WriteRequest => ({
  type: "setData",
  path,
  data: data === null ? null : bytes(data),
  version,
});

export const remove = (path: string, version = -1): WriteRequest => ({ type: "delete", path, version });

/** The error code of a refused write, else "OK". */
export const codeOf = (result: WriteResult): string => (result.type === "error" ? result.code : "OK");

export class World {
  readonly tree: ZnodeTree;
  readonly follower = new ZnodeTree();
  readonly prep: Prep;
  /** events of the leader's tree, in order */
  readonly events: WatchEvent[] = [];
  readonly #batches: Uint8Array[] = [];
  readonly #xids = new Map<SessionId, number>();
  #counter = 0;
  epoch = 1;

  constructor(tree = new ZnodeTree()) {
    this.tree = tree;
    this.prep = new Prep(tree);
  }

  /** zxid of the last txn prepared */
  get last(): Zxid {
    return zxid(this.epoch, this.#counter);
  }

  /** txns prepared and not yet committed */
  get waiting(): number {
    return this.#batches.length;
  }

  /** Prepares a txn and leaves it outstanding. */
  prepare(request: WriteRequest, session: SessionId = NO_SESSION): Txn {
    this.#counter += 1;
    const xid = session === NO_SESSION || request.type === "createSession" ? 0 : this.#nextXid(session);
    const header = { session, xid, zxid: this.last, timeMs: START_MS + this.#counter };
    const txn = this.prep.prepare(header, request);
    const writer = new ByteWriter();
    appendTxn(writer, header, txn);
    this.#batches.push(writer.finish());
    return txn;
  }

  /** Applies the oldest outstanding txns on both members. @returns the result of the last */
  commit(count = this.#batches.length): WriteResult {
    let result: WriteResult | undefined;
    for (const batch of this.#batches.splice(0, count)) {
      result = this.#applyTo(this.tree, batch);
      expect(this.#applyTo(this.follower, batch)).toEqual(result);
      this.prep.committed(this.tree.lastApplied);
      this.events.push(...this.tree.events.splice(0));
      expect(this.follower.events.splice(0)).toBeDefined();
      expect(digestOf(this.follower)).toBe(digestOf(this.tree));
    }
    if (result === undefined) throw new Error("nothing was outstanding");
    return result;
  }

  /** Prepares and applies one write. */
  write(request: WriteRequest, session: SessionId = NO_SESSION): WriteResult {
    this.prepare(request, session);
    return this.commit();
  }

  /** Opens the n-th session. */
  open(n: number, timeoutMs = 10_000): SessionId {
    const id = sessionId(n);
    expect(this.write({ type: "createSession", timeoutMs }, id)).toEqual({
      type: "createSession",
      timeoutMs,
    });
    return id;
  }

  /** Stat of a znode that exists. */
  stat(path: string): Stat {
    const node = this.tree.get(path);
    if (node === undefined) throw new Error(`${path} does not exist`);
    return this.tree.stat(node);
  }

  xidOf(session: SessionId): number {
    return this.#xids.get(session) ?? 0;
  }

  #nextXid(session: SessionId): number {
    const xid = this.xidOf(session) + 1;
    this.#xids.set(session, xid);
    return xid;
  }

  #applyTo(tree: ZnodeTree, batch: Uint8Array): WriteResult {
    const cursor = new TxnCursor(batch);
    expect(cursor.next()).toBe(true);
    return tree.apply(cursor.header(), cursor.txn());
  }
}

/** Digest as text. */
export const digestOf = (tree: ZnodeTree): string => `${tree.digestHigh}:${tree.digestLow}`;

/** Everything of a tree that a client could see, and its sessions. */
export function contentsOf(tree: ZnodeTree): unknown {
  const znodes = [...tree.znodes()]
    .map((node) => ({
      path: node.path,
      data: node.data && [...node.data],
      cversion: node.cversion,
      stat: tree.stat(node),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const sessions = [...tree.sessions.values()]
    .map(({ id, timeoutMs, lastXid, lastZxid, lastResult }) => {
      const ephemerals = [...tree.ephemeralsOf(id)].sort();
      return { id, timeoutMs, lastXid, lastZxid, lastResult, ephemerals };
    })
    .sort((a, b) => a.id - b.id);
  return { znodes, sessions };
}
