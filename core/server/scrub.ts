/** The background check of the znode table: rows that nobody reads, and rows that are missing. */
import { TreeDamagedError } from "../damaged-error.ts";
import { type Chain, equalChain } from "../hash/chain.ts";
import { addDigests } from "../znode/digest.ts";
import { addToDigest, emptyTreeDigest } from "../znode/tree-state.ts";
import { SESSION_CURSOR, type StorageBackend, type TableId } from "./storage-backend.ts";
import { ofTree } from "./table-store.ts";

/**
 * Reads the znodes of a checkpoint page by page, over many turns, and compares their digest at the end of each pass. Checkpoints
 * go on meanwhile.
 *
 * Invariant: `#sum` is the digest of the stored znodes up to the cursor, as they are now, and of the built-in ones behind it, as
 * they were at first.
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

  /** Path up to which this pass has come. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Passes that found nothing. */
  get passes(): number {
    return this.#passes;
  }

  /** A checkpoint has changed rows. @param all what that adds to their digest @param upToCursor to that of the rows up to {@link cursor} */
  changed(all: Chain, upToCursor: Chain): void {
    this.#expected = addDigests(this.#expected, all);
    this.#sum = addDigests(this.#sum, upToCursor);
  }

  /** Checks the next rows, about `bytesMax`. @throws TreeDamagedError when a row is damaged, or some are missing */
  step(bytesMax: number): void {
    const { znodes, next } = ofTree(() => this.#backend.readTable(this.#table, this.#cursor, bytesMax));
    this.#sum = addToDigest(this.#sum, znodes, []);
    if (next !== undefined && !next.startsWith(SESSION_CURSOR)) {
      this.#cursor = next;
      return;
    }
    if (!equalChain(this.#sum, this.#expected))
      throw new TreeDamagedError("the rows of the checkpoint are not those that were written");
    this.#cursor = "";
    this.#sum = emptyTreeDigest();
    this.#passes += 1;
  }
}
