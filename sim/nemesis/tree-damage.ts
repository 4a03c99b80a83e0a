/**
 * Damage to the tree of one member that no checksum shows: rows of its checkpoint change while it is down, or its tree in
 * memory differs from its disk. The log does not change, so only digests detect it. After `Invariants.treeDamaged` every
 * other member is compared with the tree that the committed history makes, and so is the damaged one as soon as it serves.
 * Two members are damaged in different ways: trees that are wrong in the same way agree.
 */
import { must } from "../../core/assert.ts";
import type { TablePage } from "../../core/server/storage-backend.ts";
import { chooseSync } from "../../core/zab/synchronization.ts";
import { compareZxid } from "../../core/zab/zxid.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { ZnodeRow } from "../../core/znode/stat.ts";
import { NO_SESSION } from "../../core/znode/types.ts";
import type { Cluster } from "../cluster.ts";
import type { MemoryBackend } from "../memory-backend.ts";

/** Kinds of damage to a tree. */
export const TREE_DAMAGE_KINDS = [
  "row-changed",
  "rows-swapped",
  "session-changed",
  "memory-differs",
] as const;
/** A kind of damage to a tree. */
export type TreeDamageKind = (typeof TREE_DAMAGE_KINDS)[number];

/** Whether a kind of fault is damage to a tree. */
export const isTreeDamage = (kind: string): kind is TreeDamageKind =>
  (TREE_DAMAGE_KINDS as readonly string[]).includes(kind);

/** A whole number of 0 … n − 1 */
type Pick = (n: number) => number;

const BUILT_IN = /^\/($|zookeeper($|\/))/;

/** Bytes that a healthy row of this znode does not have. */
function otherData({ data }: ZnodeRow, pick: Pick): Uint8Array {
  const copy = new Uint8Array([...(data ?? []), pick(256), pick(256), pick(256)]);
  const at = pick(copy.length);
  copy[at] = (copy[at] ?? 0) ^ (1 << pick(8));
  return copy;
}

function changeRow(row: ZnodeRow, pick: Pick): ZnodeRow {
  // A version decides about later writes, data about reads.
  if (pick(3) === 0) return { ...row, version: row.version + 1 + pick(1_000_000) };
  return { ...row, data: otherData(row, pick) };
}

/** Replacements of some rows of a table; null if there is nothing to damage. */
function damagedRows(
  { znodes, sessions }: TablePage,
  kind: Exclude<TreeDamageKind, "memory-differs">,
  pick: Pick,
): { readonly znodes: readonly ZnodeRow[]; readonly sessions: readonly SessionRow[] } | null {
  const rows = znodes.filter(({ path }) => !BUILT_IN.test(path));
  const some = (): ZnodeRow => must(rows[pick(rows.length)], "a row that was picked");
  if (kind === "session-changed") {
    const session = sessions[pick(Math.max(1, sessions.length))];
    if (session === undefined) return null;
    return { znodes: [], sessions: [{ ...session, timeoutMs: session.timeoutMs + 1 + pick(1_000_000) }] };
  }
  if (rows.length === 0) return null;
  if (kind === "row-changed") return { znodes: [changeRow(some(), pick)], sessions: [] };
  const [a, b] = [some(), some()];
  if (a.path === b.path) return null;
  const swapped = [
    { ...a, data: b.data, version: b.version },
    { ...b, data: a.data, version: a.version },
  ];
  const same = a.version === b.version && String(a.data) === String(b.data);
  return same ? null : { znodes: swapped, sessions: [] };
}

const wholeTable = (backend: MemoryBackend): TablePage =>
  backend.readTable(backend.readMeta().table, "", Number.MAX_SAFE_INTEGER);

/** Damages the tree of a member that is down. @returns whether there was something to damage */
export function damageTree(cluster: Cluster, sid: number, kind: TreeDamageKind, pick: Pick): boolean {
  const member = cluster.member(sid);
  const copy = member.disk.durableCopy();
  const { table } = copy.readMeta();
  const bad = damagedRows(wholeTable(copy), kind === "memory-differs" ? "row-changed" : kind, pick);
  if (bad === null) return false;
  cluster.onLine?.(
    `${sid} has a wrong tree (${kind}): ${bad.znodes.map(({ path }) => path).join(", ")}${bad.sessions.map(({ id }) => ` session ${id}`).join("")}`,
  );
  if (kind === "memory-differs") {
    const [wrong] = bad.znodes;
    member.bend = (tree) => {
      const { path, data, version } = must(wrong, "a row that was changed");
      const header = { session: NO_SESSION, xid: 0, zxid: tree.lastApplied, timeMs: 1 };
      if (tree.get(path) !== undefined) tree.apply(header, { type: "setData", path, data, version });
      tree.events.length = 0;
    };
  } else {
    // As if before the checksums were made: neither those of the rows nor the digest of the checkpoint show it.
    copy.writeMeta({ ...copy.readMeta(), digest: undefined });
    copy.putRows(table, bad.znodes, bad.sessions);
    member.disk.restore(copy);
  }
  cluster.invariants.digests.treeDamaged(member);
  return true;
}

/**
 * Whether too few members can decide which tree is right: a member waits as leader for others, and fewer than a quorum both
 * have an undamaged tree and either have applied as much as the leader, or lack only entries that its log still has. (One
 * that is behind the cut log cannot confirm, see docs/testing.md, Open.) Then not serving is the right outcome.
 * @see ZAB-123
 */
export function isUndecidable(cluster: Cluster): boolean {
  const { damagedTrees } = cluster.invariants.digests;
  const waiting = cluster.members
    .flatMap(({ life }) => life ?? [])
    .find(({ server }) => server.zab.role === "LEADING" && server.zab.reason !== "");
  if (waiting === undefined || damagedTrees.size === 0) return false;
  const telling = cluster.members.filter(({ sid, life }) => {
    if (life === null || damagedTrees.has(sid)) return false;
    // Its tree is a copy of the leader's, and confirms nothing.
    if (sid !== waiting.sid && cluster.invariants.digests.isUnprovenCopy(waiting, sid)) return false;
    const { meta } = life.storage;
    if (!meta.initialized || meta.needSnap) return false;
    if (compareZxid(life.server.tree.lastApplied, waiting.server.tree.lastApplied) >= 0) return true;
    // It is sent a tree that is known to be right, and compares.
    if (waiting.storage.isConfirmed) return true;
    const { lastLogged } = life.server.zab;
    return chooseSync(waiting.storage.log, lastLogged, false, cluster.config.diffBytesMax).mode === "DIFF";
  });
  return telling.length <= cluster.members.length / 2;
}
