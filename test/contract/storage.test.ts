import { must } from "../../core/assert.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { MemoryBackend, Stored } from "../../sim/memory-backend.ts";
import { MemoryBackend as Memory } from "../../sim/memory-backend.ts";
import { type Damage, storageContract } from "./storage.ts";
import { treeContract } from "./tree.ts";

/** @param all each that is opened later is a copy of the first */
function damageOf(all: () => readonly MemoryBackend[]): Damage {
  const change = <K, R, S extends Stored<R>>(rows: Map<K, S>, key: K, columns: Partial<R>): void => {
    const stored = must(rows.get(key), "a row that is damaged exists");
    rows.set(key, { ...stored, row: { ...stored.row, ...columns } });
  };
  const tamper: MemoryBackend["tamper"] = (body) => {
    for (const backend of all()) backend.tamper(body);
  };
  return {
    znode: (table, path, columns) => tamper(({ tables }) => change(tables[table].znodes, path, columns)),
    swapZnodes: (table, a, b) =>
      tamper(({ tables }) => {
        const { znodes } = tables[table];
        const [first, second] = [a, b].map((path) => must(znodes.get(path), "a row that is damaged exists"));
        if (first === undefined || second === undefined) return;
        znodes.set(a, { ...second, row: { ...second.row, path: a } });
        znodes.set(b, { ...first, row: { ...first.row, path: b } });
      }),
    session: (table, id, columns) =>
      tamper(({ tables }) => change(tables[table].sessions, id as SessionId, columns)),
    logRow: (seq, columns) => tamper(({ log }) => change(log, seq, columns)),
    meta: (key, json) =>
      tamper(({ meta }) => {
        const stored = meta.get(key);
        if (json === undefined || stored === undefined) meta.delete(key);
        else meta.set(key, { ...stored, row: json });
      }),
    forgetChecksums: () =>
      tamper(({ meta, log, tables }) => {
        const maps: Map<unknown, { readonly check: number | null }>[] = [meta, log];
        for (const { znodes, sessions } of tables) maps.push(znodes, sessions);
        for (const rows of maps) for (const [key, each] of rows) rows.set(key, { ...each, check: null });
      }),
  };
}

storageContract("memory", (body) => {
  const backend = new Memory();
  body(
    () => backend,
    damageOf(() => [backend]),
  );
});

/** A copy for each open, so that no state can hide in an instance. */
storageContract("memory, copied at every start", (body) => {
  let current = new Memory();
  const handles: MemoryBackend[] = [];
  body(
    () => {
      // The test writes through the handle it opened first.
      current = (handles[0] ?? current).clone();
      handles.push(current);
      return current;
    },
    damageOf(() => handles),
  );
});

treeContract("memory", (body) => {
  const backend = new Memory();
  body(
    () => backend,
    damageOf(() => [backend]),
  );
});
