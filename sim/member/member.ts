/** A member: its durable state, and its life while it is up. */

import type { ServerConfig } from "../../core/server/config.ts";
import { EnsembleServer } from "../../core/server/server.ts";
import { MemberStorage } from "../../core/server/storage.ts";
import { found } from "../../core/server/storage-backend.ts";
import { asSid, type Sid } from "../../core/zab/membership.ts";
import type { ZnodeTree } from "../../core/znode/tree.ts";
import { SimClock } from "../clock.ts";
import { SimDisk } from "../disk.ts";
import type { Life } from "./life.ts";

/** One member over all of its incarnations. */
export interface Member {
  readonly sid: Sid;
  readonly clock: SimClock;
  disk: SimDisk;
  /** damages the tree of its next life while it is loaded; see `tree-damage.ts` */
  bend: ((tree: ZnodeTree) => void) | null;
  /** null if it is down */
  life: Life | null;
  /** an older instance that is still alive */
  twin: Life | null;
  /** number of lives so far */
  lives: number;
}

/** The disk of a member of a new ensemble. */
function foundedDisk(): SimDisk {
  const disk = new SimDisk();
  found(disk);
  disk.sync(disk.written);
  return disk;
}

/** The members of a new ensemble, all of them down. */
export function newMembers(size: number, { tickTimeMs }: ServerConfig): Member[] {
  return Array.from({ length: size }, (_, i) => ({
    sid: asSid(i + 1),
    clock: new SimClock(2 * tickTimeMs),
    disk: foundedDisk(),
    bend: null,
    life: null,
    twin: null,
    lives: 0,
  }));
}

/** How the core of a member starts. */
export interface CoreStart {
  /** members of the ensemble */
  readonly size: number;
  readonly config: ServerConfig;
  /** added to the number of a member's first life: members without memory number their lives by the time of day */
  readonly bootBase: number;
  /** of the protocol */
  readonly version: number;
  readonly tracing: boolean;
}

/**
 * The one place where a member's core is made: it recovers from the disk.
 * @throws DiskFullError if its start cannot be stored
 */
export function startCore(
  { sid, disk, bend, lives }: Member,
  { size, config, bootBase, version, tracing }: CoreStart,
): { readonly storage: MemberStorage; readonly server: EnsembleServer } {
  const storage = new MemberStorage(disk);
  const number = lives + 1;
  const { recovered, tree } = storage.recover(bootBase + number);
  bend?.(tree);
  const { log } = storage;
  // No two lives draw the same nonce.
  const nonce = number;
  const server = new EnsembleServer({
    sid,
    size,
    config,
    log,
    snapshot: storage,
    recovered,
    nonce,
    tree,
    version,
  });
  server.zab.tracing = tracing;
  return { storage, server };
}
