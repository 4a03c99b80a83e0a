/**
 * Random damage in the storage of one member, while the others are whole: rows of the tables, of the log and of the
 * meta values are deleted, changed, cut, swapped or emptied while the member is down or running. No acknowledged
 * value may change on any member, every member has to serve again, and elections have to end.
 */
import { must } from "../../core/assert.ts";
import type { LogRow } from "../../core/zab/txn-log.ts";
import { zxid } from "../../core/zab/zxid.ts";
import type { SessionRow } from "../../core/znode/session.ts";
import type { ZnodeRow } from "../../core/znode/stat.ts";
import { Cluster } from "../../sim/cluster.ts";
import type { Stored, StoredState } from "../../sim/memory-backend.ts";
import { Chance } from "../../sim/random.ts";
import { create, ok, open, setData } from "./world.ts";

/** Epochs that a run may take beyond those that it began with. */
export const EPOCHS_MAX = 5;
const SETTLE_MS = 120_000;

function changedZnode(chance: Chance, row: ZnodeRow): ZnodeRow {
  const data = row.data ?? new Uint8Array(1);
  const copy = data.slice();
  const at = chance.below(Math.max(1, copy.length));
  copy[at] = (copy[at] ?? 0) ^ (1 << chance.below(8));
  return chance.oneOf<ZnodeRow>([
    { ...row, data: copy.length > 0 ? copy : new Uint8Array([1]) },
    { ...row, data: data.slice(0, -1) },
    { ...row, data: row.data === null ? new Uint8Array(0) : null },
    { ...row, version: row.version ^ (1 << chance.below(31)) },
    { ...row, cversion: row.cversion ^ (1 << chance.below(31)) },
    { ...row, mtime: row.mtime + 1 },
    { ...row, pzxid: { ...row.pzxid, counter: row.pzxid.counter + 1 } },
    { ...row, ephemeralOwner: (row.ephemeralOwner + 1) as ZnodeRow["ephemeralOwner"] },
  ]);
}

const changedSession = (chance: Chance, row: SessionRow): SessionRow =>
  chance.oneOf<SessionRow>([
    { ...row, timeoutMs: row.timeoutMs + 1 },
    { ...row, lastXid: row.lastXid + 1 },
    { ...row, lastResult: row.lastResult === null ? { type: "sync" } : null },
    { ...row, lastZxid: { ...row.lastZxid, counter: row.lastZxid.counter + 1 } },
  ]);

const changedLogRow = (chance: Chance, row: LogRow): LogRow =>
  chance.oneOf<LogRow>([
    { ...row, first: { ...row.first, counter: row.first.counter + 1 } },
    { ...row, last: zxid(row.last.epoch + 1, row.last.counter) },
    { ...row, count: row.count + 1 },
    { ...row, bytes: row.bytes + 1 },
    { ...row, before: { ...row.before, low: row.before.low ^ 1 } },
    { ...row, after: { ...row.after, high: row.after.high ^ 1 } },
    { ...row, committed: { ...row.committed, counter: row.committed.counter + 1 } },
  ]);

/** Deletes a row, changes one, exchanges two, or deletes all. @returns in words what was done; undefined: nothing to do it to */
function damageRows<K, R, S extends Stored<R>>(
  chance: Chance,
  rows: Map<K, S>,
  changed: (row: R) => R,
): string | undefined {
  const keys = [...rows.keys()];
  if (keys.length === 0) return undefined;
  const key = chance.oneOf(keys);
  const stored = must(rows.get(key), "a row that was picked");
  switch (chance.below(8)) {
    case 0:
    case 1:
      rows.delete(key);
      return `without row ${key}`;
    case 2: {
      const other = chance.oneOf(keys);
      const theirs = must(rows.get(other), "a row that was picked");
      rows.set(key, theirs).set(other, stored);
      return `rows ${key} and ${other} exchanged`;
    }
    case 3:
      rows.clear();
      return "without rows";
    default:
      rows.set(key, { ...stored, row: changed(stored.row) });
      return `row ${key} changed`;
  }
}

/** @returns in words what was done; undefined: there is nothing that could be damaged in this way */
export function damageAnything(chance: Chance, state: StoredState): string | undefined {
  const text = (row: string): string => {
    const at = chance.below(row.length);
    return chance.oneOf([row.slice(0, at), `${row.slice(0, at)}7${row.slice(at + 1)}`, "null", "4", "[]"]);
  };
  const done = (table: string, what: string | undefined): string | undefined => what && `${table} ${what}`;
  const table = chance.below(2) as 0 | 1;
  switch (chance.below(5)) {
    case 0:
    case 1:
      return done(
        `znode_${table}`,
        damageRows(chance, state.tables[table].znodes, (row: ZnodeRow) => changedZnode(chance, row)),
      );
    case 2:
      return done(
        `session_${table}`,
        damageRows(chance, state.tables[table].sessions, (row: SessionRow) => changedSession(chance, row)),
      );
    case 3:
      return done("meta", damageRows(chance, state.meta, text));
    default:
      return done(
        "txn_log",
        damageRows(chance, state.log, (row: LogRow) => changedLogRow(chance, row)),
      );
  }
}

export interface DamageRun {
  readonly seed: number;
  /** what was damaged, in words */
  readonly damage: readonly string[];
  /** what went wrong */
  readonly faults: readonly string[];
  /** members that forgot what they had */
  readonly forgot: number;
  readonly epochs: number;
}

/** One run. The checkers of the simulator throw when a rule is broken. */
export function damageRun(seed: number): DamageRun {
  const chance = new Chance(seed);
  const size = chance.oneOf([3, 3, 5]);
  const config = {
    checkpointChangesMax: chance.oneOf([1, 3, 10, 1000]),
    logRetainTxns: chance.oneOf([0, 5, 1000]),
    snapChunkBytesMax: chance.oneOf([200, 100_000]),
  };
  const cluster = new Cluster({ size, seed, config, tracing: false });
  cluster.startAll();
  cluster.settle();
  const values = new Map<string, number>();
  const sids = cluster.members.map((member) => member.sid);
  const writeSome = (count: number): void => {
    const at = (): number =>
      chance.oneOf(sids.filter((sid) => cluster.member(sid).life?.server.ready === true));
    for (let i = 0; i < count; i++) {
      const path = `/n${chance.below(20)}`;
      const byte = chance.below(256);
      const request = values.has(path)
        ? setData(path, byte)
        : { ...create(path), data: new Uint8Array([byte]) };
      const token = cluster.write(at(), request);
      if (ok(cluster.answered([token])[0])) values.set(path, byte);
    }
  };
  const epochOf = (): number => Math.max(...cluster.members.map(({ disk }) => disk.readMeta().acceptedEpoch));
  open(cluster, chance.oneOf(sids), 40_000);
  writeSome(chance.between(5, 40));
  cluster.settle(SETTLE_MS);
  const before = epochOf();
  const victims = chance.shuffled(sids).slice(0, (size - 1) / 2);
  const damage: string[] = [];
  const spoil = (sid: number, state: StoredState): void => {
    for (let left = chance.between(1, 2); left > 0; left--) {
      const what = damageAnything(chance, state);
      if (what !== undefined) damage.push(`${sid}: ${what}`);
    }
  };
  const all = chance.oneIn(2);
  for (const sid of all ? sids : victims) cluster.crash(sid, Number.POSITIVE_INFINITY);
  for (const sid of victims) cluster.disks.tamper(sid, (state) => spoil(sid, state));
  if (!all) writeSome(chance.below(10));
  for (const sid of chance.shuffled(all ? sids : victims)) cluster.start(sid);
  const faults: string[] = [];
  const forgot = victims.filter((sid) => cluster.member(sid).life?.storage.damage !== undefined).length;
  cluster.settle(SETTLE_MS);
  writeSome(5);
  cluster.settle(SETTLE_MS);
  for (const { sid, life } of cluster.members) {
    const { tree } = must(life, "everybody is up").server;
    for (const [path, byte] of values) {
      const data = tree.get(path)?.data;
      if (data?.[0] !== byte) faults.push(`${path} of member ${sid} is ${data?.[0]} and not ${byte}`);
    }
    for (const path of tree.children("/") ?? []) {
      if (path !== "zookeeper" && !values.has(`/${path}`))
        faults.push(`/${path} of member ${sid} was never written`);
    }
    if (tree.sessions.size !== 1) faults.push(`member ${sid} has ${tree.sessions.size} sessions`);
  }
  // The leader says with a ping that its tree is confirmed.
  cluster.runFor(3 * cluster.config.tickTimeMs);
  const kept = cluster.members.filter(({ disk }) => disk.isQuarantined).map(({ sid }) => sid);
  if (kept.length > 0) faults.push(`the damaged state of ${kept.join()} is kept for good`);
  const digests = new Set(cluster.members.map(({ life }) => JSON.stringify(life?.server.tree.digest)));
  if (digests.size !== 1) faults.push("the trees differ");
  const epochs = epochOf() - before;
  if (epochs > EPOCHS_MAX) faults.push(`${epochs} epochs`);
  return { seed, damage, faults, forgot, epochs };
}
