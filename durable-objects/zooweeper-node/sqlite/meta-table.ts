/** The table of single values: promises, checkpoint, identity, faults. */
import { DamagedError } from "../../../core/damaged-error.ts";
import { verifyChecksum } from "../../../core/server/checksums.ts";
import { EMPTY_META, META_KEYS, type Meta, type OnDamage } from "../../../core/server/storage-backend.ts";
import { valueChecksum } from "../../../core/wire/value-checksum.ts";
import { crcAt, text } from "./columns.ts";
import type { RowCounts } from "./row-counts.ts";
import { SCHEMA_VERSION } from "./schema.ts";

/**
 * The values, with a copy in memory.
 * Invariant: the copy equals the table, so an unchanged value is not written again.
 * @source ZooKeeper's files `acceptedEpoch` and `currentEpoch`; checksums: decision 0014
 */
export class MetaTable {
  readonly #sql: SqlStorage;
  readonly #rows: RowCounts;
  /** *map key → value as JSON* */
  readonly #values = new Map<string, string>();
  /** keys of values that are damaged */
  readonly #damaged = new Set<string>();
  /** keys of values that have no checksum */
  readonly #unchecked = new Set<string>();

  constructor(sql: SqlStorage, rows: RowCounts) {
    this.#sql = sql;
    this.#rows = rows;
  }

  /** Reads all values, at the start and after a rollback. */
  load(): void {
    this.clear();
    const cursor = this.#sql.exec("SELECT key, value, crc FROM meta");
    for (const row of cursor.raw()) {
      const key = String(row[0]);
      try {
        const value = text(row, 1);
        const crc = crcAt(row, 2);
        if (crc === null) this.#unchecked.add(key);
        else verifyChecksum(crc, valueChecksum(key, value), `meta value ${key}`);
        JSON.parse(value);
        this.#values.set(key, value);
      } catch (error) {
        if (!(error instanceof DamagedError || error instanceof SyntaxError)) throw error;
        this.#damaged.add(key);
      }
    }
    this.#rows.read += cursor.rowsRead;
  }

  /** Empties the copy, after the table was emptied. */
  clear(): void {
    this.#values.clear();
    this.#damaged.clear();
    this.#unchecked.clear();
  }

  /** A value as JSON; undefined if there is none, or if it is damaged. */
  value(key: string): string | undefined {
    return this.#values.get(key);
  }

  /** Writes a value, unless the same value is stored. @param value JSON */
  setValue(key: string, value: string): void {
    if (this.#values.get(key) === value && !this.#unchecked.has(key)) return;
    const crc = valueChecksum(key, value);
    const statement = "INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)";
    this.#rows.meta += this.#sql.exec(statement, key, value, crc).rowsWritten;
    this.#values.set(key, value);
    this.#damaged.delete(key);
    this.#unchecked.delete(key);
  }

  /**
   * The values of the core; a damaged or missing one has its value in {@link EMPTY_META}.
   * @param hasRows whether other tables have rows, so that a missing value counts as damage
   */
  read(hasRows: () => boolean, onDamage?: OnDamage): Meta {
    for (const key of this.#damaged) if (isMetaKey(key)) onDamage?.(`meta value ${key}`);
    const isNew = !META_KEYS.some((key) => this.#values.has(key) || this.#damaged.has(key));
    if (onDamage !== undefined && (!isNew || hasRows())) {
      for (const key of META_KEYS) {
        if (!this.#values.has(key) && !this.#damaged.has(key))
          onDamage(`meta value ${key}, which is missing`);
      }
    }
    const read = <K extends keyof Meta>(key: K): Meta[K] => {
      const value = this.#values.get(key);
      return value === undefined ? EMPTY_META[key] : (JSON.parse(value) as Meta[K]);
    };
    const digest = read("digest") ?? undefined;
    const logged = read("logged") ?? undefined;
    return {
      ...(digest && { digest }),
      ...(logged && { logged }),
      boot: read("boot"),
      acceptedEpoch: read("acceptedEpoch"),
      promisedTo: read("promisedTo"),
      currentEpoch: read("currentEpoch"),
      initialized: read("initialized"),
      founding: read("founding"),
      needSnap: read("needSnap"),
      peerBoots: read("peerBoots"),
      table: read("table"),
      checkpoint: read("checkpoint"),
      logBase: read("logBase"),
      quiet: read("quiet"),
    };
  }

  /** Writes the values of the core that have changed. */
  write(meta: Meta): void {
    // The storage of a member contains the number of its schema.
    const schema = SCHEMA_VERSION;
    for (const [key, value] of Object.entries({ schema, digest: undefined, logged: undefined, ...meta }))
      this.setValue(key, JSON.stringify(value ?? null));
  }
}

const isMetaKey = (key: string): boolean =>
  key === "digest" || key === "logged" || META_KEYS.some((each) => each === key);
