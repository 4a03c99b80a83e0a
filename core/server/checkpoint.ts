/** The rows of the last checkpoint: as the tree of a start, and as the chunks of a SNAP. */
import { must } from "../assert.ts";
import { type Chain, equalChain } from "../hash/chain.ts";
import { knows } from "../version.ts";
import { encodeRows } from "../wire/snapshot-codec.ts";
import type { SessionRow } from "../znode/session.ts";
import type { ZnodeRow } from "../znode/stat.ts";
import { ZnodeTree } from "../znode/tree.ts";
import { addToDigest, emptyTreeDigest } from "../znode/tree-state.ts";
import { DamagedError } from "./checksums.ts";
import { LOAD_PAGE_BYTES } from "./config.ts";
import type { Meta, StorageBackend, TablePage } from "./storage-backend.ts";

/**
 * Reads the checkpoint, and compares all of it with the digest that was stored with it: a row that is missing has no checksum
 * that could be wrong.
 *
 * Invariant: what it returns to the end is the checkpoint as it was written, or an error comes before the end.
 */
export class CheckpointReader {
  readonly #backend: StorageBackend;
  /** *map cursor → digest of the rows before it*, while a SNAP is read */
  readonly #digests = new Map<string, Chain>();

  constructor(backend: StorageBackend) {
    this.#backend = backend;
  }

  /** The tree. @throws DamagedError or AssertionError when the rows are not the tree's */
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
   * @throws DamagedError when the rows are not those that were written: they must not become another member's
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

  /** Another checkpoint has replaced it. */
  reset(): void {
    this.#digests.clear();
  }
}

/** @param expected undefined: an earlier version made the checkpoint, and noted none */
function verifyDigest(digest: Chain, expected: Chain | undefined): void {
  if (expected !== undefined && !equalChain(digest, expected)) {
    throw new DamagedError("the rows of the checkpoint are not those that were written");
  }
}
