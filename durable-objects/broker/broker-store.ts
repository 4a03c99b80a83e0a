/**
 * What a broker keeps: who it is, the session of its last life, and its faults. Nothing until it is started.
 *
 * Every row has a checksum over its key and value (decision 0014). A row with another one counts as missing: nothing that a
 * broker keeps is needed but its identity, which is stored twice, and comes back with the next `start`. Rows of an earlier
 * version have none, and are believed.
 */
import { valueChecksum } from "../../core/server/checksums.ts";
import type { SessionId } from "../../core/znode/types.ts";
import { type Counters, NO_COUNTERS } from "../shared/counters.ts";
import type { BrokerIdentity, BrokerStatus } from "./rpc.ts";

/** What a broker notes when it falls asleep. */
export interface Sleeping {
  readonly session: SessionId;
  /** number of its last write in that session */
  readonly xid: number;
  readonly status: BrokerStatus;
}

const SCHEMA =
  "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER) WITHOUT ROWID";

const IDENTITY_KEYS = ["identity", "identity_copy"] as const;

/** A value, and whether it is known to be the one that was written. */
interface Stored {
  readonly value: string;
  readonly isVerified: boolean;
}

export class BrokerStore {
  readonly #sql: SqlStorage;

  /** there is a table, with all columns */
  #isOpen = false;

  /** rows since this object is in memory */
  readonly rows = { meta: 0, read: 0 };

  readonly #name: string | undefined;

  /** @param name of the object, `{ensemble}/{brokerId}`; undefined: not known */
  constructor(storage: DurableObjectStorage, name: string | undefined) {
    this.#sql = storage.sql;
    this.#name = name;
  }

  /** Is there a table? One of an earlier version gets the column that it lacks. */
  #exists(): boolean {
    if (this.#isOpen) return true;
    const columns = this.#sql
      .exec<{ name: string }>("SELECT name FROM pragma_table_info('meta')")
      .toArray()
      .map(({ name }) => name);
    if (columns.length === 0) return false;
    if (!columns.includes("crc")) this.#sql.exec("ALTER TABLE meta ADD COLUMN crc INTEGER");
    this.#isOpen = true;
    return true;
  }

  /** Undefined: there is none, or another one than was written. */
  #stored(key: string): Stored | undefined {
    if (!this.#exists()) return undefined;
    this.rows.read += 1;
    const row = this.#sql
      .exec<Record<string, SqlStorageValue>>("SELECT value, crc FROM meta WHERE key = ?", key)
      .toArray()[0];
    if (typeof row?.value !== "string") return undefined;
    const { value, crc } = row;
    return crc === null || crc === valueChecksum(key, value)
      ? { value, isVerified: crc !== null }
      : undefined;
  }

  #get(key: string): string | undefined {
    return this.#stored(key)?.value;
  }

  #set(key: string, value: string): void {
    if (!this.#exists()) this.#sql.exec(SCHEMA);
    this.rows.meta += this.#sql.exec(
      "INSERT OR REPLACE INTO meta (key, value, crc) VALUES (?, ?, ?)",
      key,
      value,
      valueChecksum(key, value),
    ).rowsWritten;
  }

  get identity(): BrokerIdentity | undefined {
    for (const key of IDENTITY_KEYS) {
      const identity = parsed(this.#get(key)) as BrokerIdentity | undefined;
      if (identity !== undefined && this.#isOurs(identity)) return identity;
    }
    return undefined;
  }

  /** A row without a checksum may hold the identity of another broker. */
  #isOurs({ ensemble, id }: BrokerIdentity): boolean {
    return this.#name === undefined || this.#name === `${ensemble}/${id}`;
  }

  /** Writes the rows that are not known to hold it. */
  identify(identity: BrokerIdentity): void {
    const text = JSON.stringify(identity);
    for (const key of IDENTITY_KEYS) {
      const stored = this.#stored(key);
      if (stored?.value !== text || !stored.isVerified) this.#set(key, text);
    }
  }

  /** What the fault gate keeps. */
  get faults(): string | undefined {
    return this.#get("faults");
  }

  set faults(text: string) {
    this.#set("faults", text);
  }

  /** The session that this or the last life opened last. */
  get session(): SessionId | undefined {
    const session = Number(this.#get("session") ?? Number.NaN);
    return Number.isSafeInteger(session) ? (session as SessionId) : undefined;
  }

  set session(session: SessionId) {
    this.#set("session", `${session}`);
  }

  /** Set while it sleeps: the session that goes on afterwards, and what it was when it fell asleep. */
  get sleeping(): Sleeping | undefined {
    return parsed(this.#get("sleeping")) as Sleeping | undefined;
  }

  set sleeping(sleeping: Sleeping | undefined) {
    this.#set("sleeping", sleeping === undefined ? "" : JSON.stringify(sleeping));
  }

  get counters(): Counters {
    return { ...NO_COUNTERS, ...(parsed(this.#get("counters")) as Partial<Counters> | undefined) };
  }

  set counters(counters: Counters) {
    this.#set("counters", JSON.stringify(counters));
  }

  /** Counts a life; from 1 again when the count was damaged, since nothing depends on it. */
  nextBoot(): number {
    const last = Number(this.#get("boot") ?? 0);
    const boot = Number.isSafeInteger(last) ? last + 1 : 1;
    this.#set("boot", `${boot}`);
    return boot;
  }
}

/** The object of a JSON text; undefined: there is no text, or it holds none. */
function parsed(text: string | undefined): object | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
