/**
 * The durable state of a member, and its recovery: promises, log, and the tree as of the last checkpoint. The {@link
 * StorageBackend} underneath is SQLite in the object and memory in the simulator.
 *
 *   tree = checkpoint (tree table) + log from there to the last entry known to be committed
 *
 * Only what has changed since the checkpoint has to be in memory; the other znodes are read from the table when they are asked for.
 *
 * There are two tree tables. One contains the checkpoint; the other receives a SNAP, after which the two are switched.
 */
import { assert, assertNever, must } from "../assert.ts";
import { DamagedError, type TreeDamagedError } from "../damaged-error.ts";
import { chainBatch, equalChain } from "../hash/chain.ts";
import { WireError } from "../wire/reader.ts";
import { decodeRows } from "../wire/snapshot-codec.ts";
import { TxnCursor } from "../wire/txn-codec.ts";
import type { DurableWrite } from "../zab/effects.ts";
import { asSid } from "../zab/membership.ts";
import type { LogPosition } from "../zab/messages.ts";
import type { RecoveredState, SnapshotReader } from "../zab/storage.ts";
import { type LogRow, type LogStorage, samePosition, TxnLog } from "../zab/txn-log.ts";
import { asEpoch, compareZxid, equalZxid, maxZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import { addDigests, subtractDigests } from "../znode/digest.ts";
import { BUILT_IN_PATHS, isBuiltIn } from "../znode/path.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import { addToDigest, emptyTreeDigest, type TreeChanges } from "../znode/tree-state.ts";
import { CheckpointReader } from "./checkpoint.ts";
import { START_SCRUB_BYTES, ZNODE_CACHE_BYTES } from "./config.ts";
import { ApplyError } from "./failure.ts";
import { checkLog, isDamage } from "./log-check.ts";
import { Scrub } from "./scrub.ts";
import {
  type CheckpointDigest,
  EMPTY_META,
  EMPTY_POSITION,
  type Meta,
  type StorageBackend,
  type TableId,
} from "./storage-backend.ts";

/** What a checkpoint retains in the log. */
export interface LogRetention {
  readonly logRetainTxns: number;
  readonly diffBytesMax: number;
  /** end of the log of the slowest learner in the active set */
  readonly slowest?: Zxid | undefined;
}

const RETAIN_ALL: LogRetention = {
  logRetainTxns: Number.POSITIVE_INFINITY,
  diffBytesMax: Number.POSITIVE_INFINITY,
};

/**
 * The durable state of one member. A member starts with {@link recover}; then it calls {@link persist} in the order of the
 * persist effects, and {@link checkpoint} from time to time.
 *
 * Invariant: the checkpoint is an entry of the log or its base; promises (`acceptedEpoch`, `currentEpoch`) never go back, not
 * even when damage is found.
 *
 * @source ZooKeeper `FileTxnSnapLog`; docs/decisions/0014-damage-is-forgotten-whole.md
 */
export class MemberStorage implements SnapshotReader {
  readonly log: TxnLog;
  readonly #backend: StorageBackend;
  readonly #reader: CheckpointReader;
  readonly #cacheBytes: number;
  #meta: Meta;
  /** bytes logged since the checkpoint */
  #logBytes = 0;
  #damage: string | undefined;
  /** damage that a read of the tree has met */
  #met: TreeDamagedError | undefined;
  /** checks the table of the tree that was loaded last */
  #scrub: Scrub;
  /** what a SNAP has brought so far */
  #received = emptyTreeDigest();
  #receivedZnodes = 0;

  /**
   * Repairs damage as far as possible; see {@link checkLog}.
   * @param cacheBytes approximate limit of the znodes in memory while the log is replayed
   */
  constructor(backend: StorageBackend, cacheBytes = ZNODE_CACHE_BYTES) {
    this.#backend = backend;
    this.#cacheBytes = cacheBytes;
    this.#reader = new CheckpointReader(backend, (error) => {
      this.#met ??= error;
    });
    const damaged: string[] = [];
    this.#meta = backend.readMeta((what) => damaged.push(what));
    this.#scrub = new Scrub(backend, this.#meta.table, emptyTreeDigest());
    if (damaged.length > 0) this.#forget(damaged.join(", "));
    const rows = this.#repairLog();
    const storage: LogStorage = {
      insert: (row, batch) => backend.insert(row, batch),
      replace: (row, batch) => backend.replace(row, batch),
      deleteAfter: (seq) => backend.deleteAfter(seq),
      deleteUpTo: (seq) => backend.deleteUpTo(seq),
      read: (seq) => backend.read(seq),
      setBase: (logBase) => this.#update({ logBase }),
    };
    this.log = new TxnLog(storage, rows, this.#meta.logBase);
    this.#logBytes = this.log.bytesAfter(this.#meta.checkpoint.zxid);
  }

  /** Damage found at this start that made the member forget its state; undefined if none. */
  get damage(): string | undefined {
    return this.#damage;
  }

  /** Checks the log. @returns the rows that are kept */
  #repairLog(): readonly LogRow[] {
    const check = checkLog(this.#backend, this.#meta);
    if (!check.ok) return this.#forget(check.damage);
    const { base, kept } = check;
    if (base !== undefined) this.#cutTo(base.position, base.firstSeq);
    return kept;
  }

  /** Deletes the rows before number `seq`; `base` is the entry before that row. */
  #cutTo(base: LogPosition, seq: number): void {
    this.#backend.transaction(() => {
      this.#backend.deleteUpTo(seq - 1);
      this.#update({ logBase: base });
    });
  }

  /**
   * Continues as a member without memory that keeps its promise, its boot counter and the boot counters of its peers. The
   * damaged state goes into quarantine: if a majority is damaged, its rows may be the only copy of acknowledged txns.
   */
  #forget(damage: string): [] {
    this.#damage ??= damage;
    const { boot, acceptedEpoch, peerBoots, initialized } = this.#meta;
    this.#backend.transaction(() => {
      // The state of a voter replaces one in quarantine; the state of a member that had not synchronised does not.
      this.#backend.quarantine(initialized);
      this.#update({ ...EMPTY_META, digest: undefined, logged: undefined, boot, acceptedEpoch, peerBoots });
    });
    return [];
  }

  /** Whether a damaged state is still in quarantine. */
  get isQuarantined(): boolean {
    return this.#backend.isQuarantined;
  }

  /** Deletes the state in quarantine, once a quorum has confirmed the tree that replaces it. */
  dropQuarantine(): void {
    this.#backend.transaction(() => this.#backend.dropQuarantine());
  }

  /** Bytes logged since the checkpoint. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /** The stored values. */
  get meta(): Meta {
    return this.#meta;
  }

  /**
   * Begins an incarnation of the member: increments its boot counter, durably, and rebuilds the tree. Entries at the end of the
   * log that are not known to be committed stay in the log and are not applied.
   * @param firstBoot boot counter of the first incarnation of a member without memory. Peers refuse calls with a lower
   * number than they have seen, so it must be above every number that the member may have had before it lost its storage:
   * the ms since 1970 are
   * @param checkedBytes how much of the tree is checked now; {@link scrub} checks the rest
   */
  recover(
    firstBoot = 1,
    checkedBytes = START_SCRUB_BYTES,
  ): { readonly recovered: RecoveredState; readonly tree: ZnodeTree } {
    this.#update({ boot: this.#meta.boot === 0 ? firstBoot : this.#meta.boot + 1 });
    const tree = this.#recoverTree(checkedBytes);
    this.noteEnd();
    const { boot, acceptedEpoch, currentEpoch, initialized, founding, needSnap } = this.#meta;
    const { peerBoots, quiet } = this.#meta;
    return {
      recovered: {
        boot,
        acceptedEpoch: asEpoch(acceptedEpoch),
        promisedTo: this.#meta.promisedTo === 0 ? null : asSid(this.#meta.promisedTo),
        currentEpoch: asEpoch(currentEpoch),
        initialized,
        founding,
        needSnap,
        peerBoots,
        applied: tree.lastApplied,
        quiet,
      },
      tree,
    };
  }

  /**
   * The tree as far as it is known to be committed. If the checkpoint is damaged, the tree is rebuilt from the log, provided that
   * the log reaches back to the first txn; otherwise the member forgets its state.
   */
  #recoverTree(checkedBytes: number): ZnodeTree {
    const { checkpoint } = this.#meta;
    const committed = maxZxid(this.log.committed, checkpoint.zxid);
    try {
      const anchor = this.log.positionAt(checkpoint.zxid);
      if (anchor === undefined || !samePosition(anchor, checkpoint)) {
        throw new DamagedError("the checkpoint is no entry of the log");
      }
      const tree = this.loadTree();
      if (checkedBytes > 0) this.scrub(checkedBytes);
      return this.#replay(tree, committed);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.setTreeAside(error.message);
      if (!samePosition(this.log.base, EMPTY_POSITION)) this.log.restart(EMPTY_POSITION);
    }
    this.#logBytes = this.log.bytesAfter(ZXID_ZERO);
    return this.#replay(this.loadTree(), this.log.rows.length === 0 ? ZXID_ZERO : committed);
  }

  /** The log contains every txn, so the checkpoint is not needed. */
  #forgetTree(damage: string): void {
    this.#damage ??= damage;
    this.#backend.transaction(() => {
      this.#backend.clearTable(0);
      this.#backend.clearTable(1);
      this.#update({ table: 0, checkpoint: EMPTY_POSITION, digest: undefined });
    });
  }

  /**
   * The tree of the checkpoint, whose znodes are read when they are asked for.
   * @throws DamagedError or AssertionError if the sessions differ from the written ones
   */
  loadTree(): ZnodeTree {
    const { table, digest } = this.#meta;
    const { tree, sessions } = this.#reader.open(this.#meta);
    if (digest?.sessions === undefined)
      this.#update({ digest: { ...digest, ...tree.digest, znodes: tree.size, sessions } });
    this.#scrub = new Scrub(this.#backend, table, subtractDigests(tree.digest, sessions));
    return tree;
  }

  /** Path up to which the rows are checked in this pass; see {@link scrub}. */
  get scrubbed(): string {
    return this.#scrub.cursor;
  }

  /** Passes over all rows since the tree was loaded that have found no damage. */
  get scrubPasses(): number {
    return this.#scrub.passes;
  }

  /**
   * Checks the next rows of the checkpoint, about `bytesMax`.
   * @throws TreeDamagedError also for the damage that an earlier read has met, if that has not ended the incarnation
   */
  scrub(bytesMax: number): void {
    if (this.#met !== undefined) throw this.#met;
    this.#scrub.step(bytesMax);
  }

  /**
   * The rows of the tree are damaged: the next incarnation rebuilds it from the log if that reaches back to the first txn, else it
   * is a member without memory. This one has to end.
   */
  setTreeAside(damage: string): void {
    if (samePosition(this.log.base, EMPTY_POSITION)) this.#forgetTree(damage);
    else this.#forget(damage);
  }

  /** Applies the log up to `upTo`, checking every batch against the chain. @returns the tree */
  #replay(tree: ZnodeTree, upTo: Zxid): ZnodeTree {
    let applied = tree.lastApplied;
    for (let slice = this.log.read(applied); slice !== undefined; slice = this.log.read(applied)) {
      if (compareZxid(applied, upTo) >= 0) break;
      const chain = chainBatch(slice.prev.chain, slice.batch);
      assert(equalChain(chain, slice.chain), "a log row holds what was written");
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next() && compareZxid(cursor.zxid(), upTo) <= 0) {
        const txn = readable(() => cursor.txn());
        tree.apply(cursor.header(), txn, cursor.fingerprint);
        applied = cursor.zxid();
        tree.trim(this.#cacheBytes);
      }
      tree.events.length = 0;
      if (!equalZxid(applied, slice.last)) break;
      if (tree.needsCheckpoint(this.#cacheBytes)) this.#checkpointReplayed(tree);
    }
    return tree;
  }

  /** Stores what has been replayed. The log stays: it is needed if damage is found later in the replay. */
  #checkpointReplayed(tree: ZnodeTree): void {
    this.checkpoint(tree.takeChanges(this.#scrub.cursor), RETAIN_ALL);
    this.#logBytes = this.log.bytesAfter(tree.lastApplied);
  }

  /** Carries out the writes of one persist effect, together. */
  persist(writes: readonly DurableWrite[]): void {
    const [first] = writes;
    // One row is one statement, which is atomic: a commit needs no transaction around it.
    if (writes.length === 1 && first?.type === "append") this.#write(first);
    else {
      this.#backend.transaction(() => {
        for (const write of writes) this.#write(write);
        this.noteEnd();
      });
    }
  }

  /**
   * Stores the end of the log, so that missing newest rows are detected. It costs a row of its own, so the caller decides
   * how often to do it.
   */
  noteEnd(): void {
    const { zxid } = this.log.last;
    if (this.#meta.logged === undefined || !equalZxid(this.#meta.logged, zxid))
      this.#update({ logged: zxid });
  }

  #write(write: DurableWrite): void {
    switch (write.type) {
      case "acceptedEpoch":
        assert(write.epoch >= this.#meta.acceptedEpoch, "acceptedEpoch never goes back");
        this.#update({ acceptedEpoch: write.epoch, promisedTo: write.to ?? 0 });
        return;
      case "currentEpoch":
        assert(write.epoch >= this.#meta.currentEpoch, "currentEpoch never goes back");
        this.#update({ currentEpoch: write.epoch });
        return;
      case "initialized":
        this.#update({ initialized: true, founding: false });
        return;
      case "peerBoots":
        this.#update({ peerBoots: write.boots });
        return;
      case "amnesia":
        this.#update({
          initialized: false,
          founding: false,
          promisedTo: 0,
          boot: Math.max(this.#meta.boot, write.boot),
        });
        return;
      case "quiet":
        this.#update({ quiet: write.record });
        return;
      case "append":
        this.log.append(write.batch, write, write.chain);
        this.#logBytes += write.batch.length;
        return;
      case "truncate":
        this.log.truncate(write.to);
        return;
      case "needSnap":
        this.#update({ needSnap: true });
        return;
      case "snapshotBegin":
        this.#backend.clearTable(this.#otherTable());
        this.#received = emptyTreeDigest();
        this.#receivedZnodes = BUILT_IN_PATHS.length;
        return;
      case "snapshotChunk": {
        const { znodes, sessions } = readable(() => decodeRows(write.bytes));
        this.#backend.putRows(this.#otherTable(), znodes, sessions);
        this.#received = addToDigest(this.#received, znodes, sessions);
        this.#receivedZnodes += znodes.filter(({ path }) => !isBuiltIn(path)).length;
        return;
      }
      case "snapshotSwitch": {
        const at = { zxid: write.zxid, chain: write.chain };
        const old = this.#meta.table;
        // The digest of the sessions is known once they are loaded.
        const digest = { ...this.#received, znodes: this.#receivedZnodes };
        this.#update({ table: this.#otherTable(), checkpoint: at, digest, needSnap: false });
        this.#reader.reset();
        this.log.restart(at);
        this.#backend.clearTable(old);
        return;
      }
      default:
        assertNever(write);
    }
  }

  #otherTable(): TableId {
    return this.#meta.table === 0 ? 1 : 0;
  }

  /**
   * Moves the checkpoint to the current tree, and cuts the log below it.
   * @param changes changes since the last checkpoint
   * @param retain what is retained in the log: a number of txns, and the entries that the slowest learner lacks, but not
   * more than a number of bytes
   * @param confirmed whether a quorum has confirmed the tree; see {@link isConfirmed}
   */
  checkpoint(changes: TreeChanges, retain: LogRetention, confirmed = false): void {
    const at = must(this.log.positionAt(changes.lastApplied), "the applied zxid is in the log");
    assert(equalZxid(at.zxid, changes.lastApplied), "the tree is at an entry of the log");
    this.#backend.transaction(() => {
      this.#backend.putRows(this.#meta.table, changes.znodes, changes.sessions);
      this.#backend.deleteRows(this.#meta.table, changes.deleted, changes.closed);
      this.#update({
        checkpoint: at,
        digest: this.#digestOf(changes, confirmed),
        logged: this.log.last.zxid,
      });
      this.log.cut(at.zxid, retain.logRetainTxns, retain.diffBytesMax, retain.slowest);
    });
    this.#scrub.changed(changes.added, changes.addedUpTo);
    this.#logBytes = 0;
    this.#reader.reset();
  }

  #digestOf({ digest, size, added }: TreeChanges, confirmed: boolean): CheckpointDigest {
    const sessions = subtractDigests(digest, addDigests(this.#scrub.expected, added));
    return { ...digest, ...(confirmed && { confirmed }), znodes: size, sessions };
  }

  // ── SnapshotReader ───────────────────────────────────────────────────────

  /** Position of the checkpoint. */
  position(): LogPosition {
    return this.#meta.checkpoint;
  }

  get isConfirmed(): boolean {
    return this.#meta.digest?.confirmed === true;
  }

  read(
    cursor: string,
    bytesMax: number,
    version: number,
  ): { readonly bytes: Uint8Array; readonly next: string | undefined } {
    return this.#reader.chunk(this.#meta, cursor, bytesMax, version);
  }

  #update(change: Partial<Meta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#backend.writeMeta(this.#meta);
  }
}

/**
 * Decodes stored bytes. Undamaged bytes that cannot be decoded were written by a later version.
 * @throws ApplyError for a WireError
 */
function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) throw new ApplyError(error.message, { cause: error });
    throw error;
  }
}
