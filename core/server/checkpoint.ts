/** Reads the rows of the last checkpoint: as the store of the tree, and as the chunks of a SNAP. */
import { must } from "../assert.ts";
import { TreeDamagedError } from "../damaged-error.ts";
import { type Chain, equalChain } from "../hash/chain.ts";
import { knows } from "../version.ts";
import { encodeRows } from "../wire/snapshot-codec.ts";
import { BUILT_IN_PATHS } from "../znode/path.ts";
import type { SessionRow } from "../znode/session.ts";
import { ZnodeTree } from "../znode/tree.ts";
import { addToDigest, emptyTreeDigest } from "../znode/tree-state.ts";
import { LOAD_PAGE_BYTES } from "./config.ts";
import {
  type Meta,
  SESSION_CURSOR,
  type StorageBackend,
  type TableId,
  type TablePage,
} from "./storage-backend.ts";
import { ofTree, TableStore } from "./table-store.ts";

const NOTHING: Chain = { high: 0, low: 0 };

/** The tree of a checkpoint, and the part of its sessions in the digest. */
export interface OpenedTree {
  readonly tree: ZnodeTree;
  readonly sessions: Chain;
}

/**
 * Reads the checkpoint. A SNAP is compared as a whole with the digest stored with it, because row checksums do not detect a
 * missing row. A tree reads single rows, and `Scrub` compares all of them with the digest in the background.
 *
 * Invariant: if reading a SNAP reaches the end without an error, its rows are the checkpoint as it was written.
 */
export class CheckpointReader {
  readonly #backend: StorageBackend;
  readonly #onDamage: (error: TreeDamagedError) => void;
  /** *map cursor → digest of the rows before it*, while a SNAP is read */
  readonly #digests = new Map<string, Chain>();

  /** @param onDamage receives the error of a read of the opened tree that finds damage */
  constructor(backend: StorageBackend, onDamage: (error: TreeDamagedError) => void) {
    this.#backend = backend;
    this.#onDamage = onDamage;
  }

  /**
   * Opens the tree: reads its sessions now, its znodes on demand.
   * @throws TreeDamagedError or AssertionError if the sessions differ from the written ones
   */
  open({ table, checkpoint, digest }: Meta): OpenedTree {
    const sessions: SessionRow[] = [];
    for (let cursor: string | undefined = `${SESSION_CURSOR}0`; cursor !== undefined; ) {
      const page = this.#read(table, cursor, LOAD_PAGE_BYTES);
      sessions.push(...page.sessions);
      cursor = page.next;
    }
    const digestOfSessions = addToDigest(NOTHING, [], sessions);
    verifyDigest(digestOfSessions, digest?.sessions);
    const tree = ZnodeTree.open(new TableStore(this.#backend, table, this.#onDamage), {
      sessions,
      lastApplied: checkpoint.zxid,
      digest: digest ?? this.#digestOf(table),
      size: digest?.znodes ?? this.#sizeOf(table),
    });
    return { tree, sessions: digestOfSessions };
  }

  #read(table: TableId, cursor: string, bytesMax: number): TablePage {
    return ofTree(() => this.#backend.readTable(table, cursor, bytesMax));
  }

  /** The digest of the znodes of a checkpoint of an earlier version, which stored none. */
  #digestOf(table: TableId): Chain {
    let digest = emptyTreeDigest();
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page = this.#read(table, cursor, LOAD_PAGE_BYTES);
      digest = addToDigest(digest, page.znodes, page.sessions);
      cursor = page.next;
    }
    return digest;
  }

  /** The number of znodes of a checkpoint of an earlier version, which stored no number and no unchanged built-in znode. */
  #sizeOf(table: TableId): number {
    const unstored = BUILT_IN_PATHS.filter((path) => this.#backend.readZnode(table, path) === undefined);
    return this.#backend.countZnodes(table) + unstored.length;
  }

  /**
   * One chunk of a SNAP; see `SnapshotReader.read`. Chunks are read in order.
   * @throws TreeDamagedError if the rows are damaged, so that they do not reach another member
   */
  chunk(
    { table, digest: expected }: Meta,
    cursor: string,
    bytesMax: number,
    version: number,
  ): { readonly bytes: Uint8Array; readonly next: string | undefined } {
    const { znodes, sessions, next } = this.#read(table, cursor, bytesMax);
    const before =
      cursor === "" ? emptyTreeDigest() : must(this.#digests.get(cursor), "a SNAP is read in order");
    const digest = addToDigest(before, znodes, sessions);
    if (next === undefined) verifyDigest(digest, expected);
    else this.#digests.set(next, digest);
    return { bytes: encodeRows(znodes, sessions, knows(version, "snapFingerprints") ? 2 : 1), next };
  }

  /** Forgets the digests, because another checkpoint has replaced this one. */
  reset(): void {
    this.#digests.clear();
  }
}

/** @param expected undefined if an earlier version made the checkpoint and stored no digest */
function verifyDigest(digest: Chain, expected: Chain | undefined): void {
  if (expected !== undefined && !equalChain(digest, expected)) {
    throw new TreeDamagedError("the rows of the checkpoint differ from the written ones");
  }
}
