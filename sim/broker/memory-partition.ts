/** The rows of a partition in memory: the same contract as SQLite's, for the simulator and the tests. */
import { assertNever, must } from "../../core/assert.ts";
import type {
  PartitionBackend,
  PartitionWrite,
  RawChunk,
  RawColumns,
  RawEpoch,
  RawKey,
  RawMeta,
} from "../../core/broker/partition-backend.ts";

/** The tables. Rows are values that are replaced, never changed, so a copy of the maps is a copy of the state. */
export interface PartitionTables {
  /** *map name → value* */
  readonly meta: Map<string, RawMeta>;
  /** *map leader epoch → row* */
  readonly epochs: Map<number, RawEpoch>;
  /** *map sequence number → row*, oldest first */
  readonly keys: Map<number, RawKey>;
  /** *map base offset → row* */
  readonly chunks: Map<number, RawChunk>;
}

const noTables = (): PartitionTables => ({
  meta: new Map(),
  epochs: new Map(),
  keys: new Map(),
  chunks: new Map(),
});

const copyOf = (tables: PartitionTables): PartitionTables => ({
  meta: new Map(tables.meta),
  epochs: new Map(tables.epochs),
  keys: new Map(tables.keys),
  chunks: new Map(tables.chunks),
});

/** A {@link PartitionBackend} whose state is a few maps. */
export class MemoryPartition implements PartitionBackend {
  /** undefined: no table exists */
  #tables: PartitionTables | undefined;
  /** numbers the keys in the order of their writes */
  #seq = 0;

  /** A copy of everything: the content of a disk at this moment. */
  clone(): MemoryPartition {
    const copy = new MemoryPartition();
    copy.#tables = this.#tables && copyOf(this.#tables);
    copy.#seq = this.#seq;
    return copy;
  }

  /** Changes rows without their checksums: damage. */
  tamper(change: (tables: PartitionTables) => void): void {
    this.#tables ??= noTables();
    change(this.#tables);
  }

  /** Deletes everything, as `deleteAll` of the platform does. */
  clear(): void {
    this.#tables = undefined;
  }

  exists(): boolean {
    return this.#tables !== undefined;
  }

  migrate(): void {
    this.#tables ??= noTables();
  }

  meta(name: string): RawMeta | undefined {
    return this.#tables?.meta.get(name);
  }

  epochs(limit: number): readonly RawEpoch[] {
    const rows = [...(this.#tables?.epochs ?? [])].sort(([a], [b]) => b - a);
    return rows.slice(0, limit).map(([, row]) => row);
  }

  key(key: string): RawKey | undefined {
    for (const row of this.#keys) if (row.key === key) return row;
    return undefined;
  }

  keyOfGreatestOffset(): RawKey | undefined {
    let greatest: RawKey | undefined;
    for (const row of this.#keys)
      if (greatest === undefined || Number(row.last) > Number(greatest.last)) greatest = row;
    return greatest;
  }

  oldestKeyMs(): number | undefined {
    const [first] = this.#keys;
    return typeof first?.atMs === "number" ? first.atMs : undefined;
  }

  /** Oldest first: the order in which the map got them. */
  get #keys(): Iterable<RawKey> {
    return this.#tables?.keys.values() ?? [];
  }

  chunkAtOrBelow(offset: number): RawChunk | undefined {
    let greatest: number | undefined;
    for (const base of this.#tables?.chunks.keys() ?? [])
      if (base <= offset && base > (greatest ?? Number.NEGATIVE_INFINITY)) greatest = base;
    return greatest === undefined ? undefined : this.#tables?.chunks.get(greatest);
  }

  columnsAtOrBelow(offset: number): RawColumns | undefined {
    return this.chunkAtOrBelow(offset);
  }

  chunkAbove(offset: number): RawChunk | undefined {
    let least: number | undefined;
    for (const base of this.#tables?.chunks.keys() ?? [])
      if (base > offset && base < (least ?? Number.POSITIVE_INFINITY)) least = base;
    return least === undefined ? undefined : this.#tables?.chunks.get(least);
  }

  size(): { readonly chunks: number; readonly bytes: number } {
    const rows = [...(this.#tables?.chunks.values() ?? [])];
    return { chunks: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + Number(bytes), 0) };
  }

  write(writes: readonly PartitionWrite[]): void {
    this.#check(writes);
    for (const write of writes) this.#write(write);
  }

  /** @throws Error when one of the writes would fail, as SQLite does: then none is made */
  #check(writes: readonly PartitionWrite[]): void {
    let exists = this.#tables !== undefined;
    const bases = new Set<number>();
    for (const write of writes) {
      exists ||= write.type === "create";
      if (!exists) throw new Error("no such table");
      if (write.type !== "chunk") continue;
      const { base } = write.columns;
      if (bases.has(base) || this.#tables?.chunks.has(base) === true)
        throw new Error(`a chunk begins at offset ${base} already`);
      bases.add(base);
    }
  }

  #write(write: PartitionWrite): void {
    if (write.type === "create") {
      this.#tables ??= noTables();
      return;
    }
    const tables = must(this.#tables, "the tables exist");
    switch (write.type) {
      case "meta":
        tables.meta.set(write.name, { value: write.value, crc: write.crc });
        return;
      case "epoch": {
        const { leaderEpoch, startOffset, leader, crc } = write;
        tables.epochs.set(leaderEpoch, { leaderEpoch, startOffset, leader, crc });
        return;
      }
      case "chunk": {
        const { base, last, timestampMax, leaderEpoch, records, bytes } = write.columns;
        const columns = { base, last, timestampMax, leaderEpoch, records, bytes, crc: write.crc };
        tables.chunks.set(base, { ...columns, data: write.data });
        return;
      }
      case "keys":
        for (const {
          key,
          hash,
          fingerprint,
          baseOffset: base,
          lastOffset: last,
          timestampMs,
          crc,
        } of write.keys) {
          for (const [seq, row] of tables.keys) if (row.key === key) tables.keys.delete(seq);
          this.#seq += 1;
          const row = { key, hash, fingerprint: fingerprint ?? null, base, last, atMs: timestampMs, crc };
          tables.keys.set(this.#seq, row);
        }
        for (const seq of tables.keys.keys()) if (seq <= this.#seq - write.keysMax) tables.keys.delete(seq);
        return;
      case "expireKeys":
        for (const [seq, { atMs }] of [...tables.keys].slice(0, write.slice))
          if (Number(atMs) < write.beforeMs) tables.keys.delete(seq);
        return;
      default:
        assertNever(write);
    }
  }
}
