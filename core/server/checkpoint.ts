/** Reads the rows of the last checkpoint: as the tree at a start, and as the chunks of a SNAP. */
import { must } from "../assert.ts";
import { DamagedError } from "../damaged-error.ts";
import { type Chain, equalChain } from "../hash/chain.ts";
import { knows } from "../version.ts";
import { encodeRows } from "../wire/snapshot-codec.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import { ZnodeTree } from "../znode/tree.ts";
import { addToDigest, emptyTreeDigest } from "../znode/tree-state.ts";
import { LOAD_PAGE_BYTES } from "./config.ts";
import type { Meta, StorageBackend, TablePage } from "./storage-backend.ts";

/**
 * Reads the checkpoint, and compares it as a whole with the digest stored with it, because row checksums do not detect a
 * missing row.
 *
 * Invariant: if reading reaches the end without an error, the rows returned are the checkpoint as it was written.
 */
export class CheckpointReader {
  readonly #backend: StorageBackend;
  /** *map cursor → digest of the rows before it*, while a SNAP is read */
  readonly #digests = new Map<string, Chain>();

  constructor(backend: StorageBackend) {
    this.#backend = backend;
  }

  /** The tree of the checkpoint. @throws DamagedError or AssertionError if the rows are damaged */
  tree({ table, checkpoint, digest }: Meta): ZnodeTree {
    const znodes: ZnodeRow[] = [];
    const sessions: SessionRow[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page: TablePage = this.#backend.readTable(table, cursor, LOAD_PAGE_BYTES);
      znodes.push(...page.znodes);
      sessions.push(...page.sessions);
      cursor = page.next;
    }
    const tree = ZnodeTree.load(znodes, sessions, checkpoint.zxid);
    verifyDigest(tree.digest, digest);
    return tree;
  }

  /**
   * One chunk of a SNAP; see `SnapshotReader.read`. Chunks are read in order.
   * @throws DamagedError if the rows are damaged, so that they do not reach another member
   */
  chunk(
    { table, digest: expected }: Meta,
    cursor: string,
    bytesMax: number,
    version: number,
  ): { readonly bytes: Uint8Array; readonly next: string | undefined } {
    const { znodes, sessions, next } = this.#backend.readTable(table, cursor, bytesMax);
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
    throw new DamagedError("the rows of the checkpoint are not those that were written");
  }
}
