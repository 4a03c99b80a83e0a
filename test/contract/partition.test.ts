import { must } from "../../core/assert.ts";
import { MemoryPartition, type PartitionTables } from "../../sim/broker/memory-partition.ts";
import { type PartitionDamage, partitionContract } from "./partition.ts";

function damageOf(backend: MemoryPartition): PartitionDamage {
  const change = <K, R extends object>(rows: Map<K, R>, key: K, columns: Partial<R>): void => {
    rows.set(key, { ...must(rows.get(key), "a row that is damaged exists"), ...columns });
  };
  return {
    meta: (name, value) =>
      backend.tamper(({ meta }) => {
        if (value === undefined) meta.delete(name);
        else change(meta, name, { value });
      }),
    chunk: (base, columns) =>
      backend.tamper(({ chunks }) => {
        if (columns === undefined) chunks.delete(base);
        else change(chunks, base, columns);
      }),
    key: (key, columns) =>
      backend.tamper(({ keys }) => {
        for (const [seq, row] of keys) if (row.key === key) change(keys, seq, columns);
      }),
    epoch: (leaderEpoch, columns) => backend.tamper(({ epochs }) => change(epochs, leaderEpoch, columns)),
    forgetChecksums: () =>
      backend.tamper((tables: PartitionTables) => {
        const all: readonly Map<unknown, { readonly crc?: unknown }>[] = Object.values(tables);
        for (const rows of all) for (const [key, row] of rows) rows.set(key, { ...row, crc: null });
      }),
  };
}

partitionContract("memory", (body) => {
  const backend = new MemoryPartition();
  body(() => backend, damageOf(backend));
});
