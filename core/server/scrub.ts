/** The background check of the znode table, which finds damaged rows that are not read, and missing rows. */
import { TreeDamagedError } from "../damaged-error.ts";
import { type Chain, equalChain } from "../hash/chain.ts";
import { addDigests } from "../znode/digest.ts";
import { addToDigest, emptyTreeDigest } from "../znode/tree-state.ts";
import { SESSION_CURSOR, type StorageBackend, type TableId } from "./storage-backend.ts";
import { ofTree } from "./table-store.ts";

/**
 * Reads the znodes of a checkpoint page by page, over many turns, and compares their digest at the end of each pass.
 * Checkpoints may be made in between.
 *
 * Invariant: `#sum` is the digest of the current stored znodes up to the cursor, and of the initial built-in znodes after it.
 * @source disk scrubbing: Bairavasundaram et al., An Analysis of Latent Sector Errors in Disk Drives (SIGMETRICS 2007)
 */
export class Scrub {
  readonly #backend: StorageBackend;
  readonly #table: TableId;
  /** digest of all stored znodes */
  #expected: Chain;
  #cursor = "";
  #sum = emptyTreeDigest();
  #passes = 0;

  /** @param digest of the stored znodes */
  constructor(backend: StorageBackend, table: TableId, digest: Chain) {
    this.#backend = backend;
    this.#table = table;
    this.#expected = digest;
  }

  /** Digest of the stored znodes. */
  get expected(): Chain {
    return this.#expected;
  }

  /** Path up to which this pass has checked. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Number of complete passes without damage. */
  get passes(): number {
    return this.#passes;
  }

  /**
   * Records that a checkpoint has changed rows.
   * @param all change of their digest
   * @param upToCursor the same for the rows up to {@link cursor}
   */
  changed(all: Chain, upToCursor: Chain): void {
    this.#expected = addDigests(this.#expected, all);
    this.#sum = addDigests(this.#sum, upToCursor);
  }

  /** Checks the next rows, about `bytesMax`. @throws TreeDamagedError if a row is damaged, or if some are missing */
  step(bytesMax: number): void {
    const { znodes, next } = ofTree(() => this.#backend.readTable(this.#table, this.#cursor, bytesMax));
    this.#sum = addToDigest(this.#sum, znodes, []);
    if (next !== undefined && !next.startsWith(SESSION_CURSOR)) {
      this.#cursor = next;
      return;
    }
    if (!equalChain(this.#sum, this.#expected))
      throw new TreeDamagedError("the rows of the checkpoint differ from the written ones");
    this.#cursor = "";
    this.#sum = emptyTreeDigest();
    this.#passes += 1;
  }
}
