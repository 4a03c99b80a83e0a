/**
 * What a broker keeps: who it is, the session of its last life, and what it noted when it fell asleep. Nothing until it is
 * started.
 *
 * Every row has a checksum over its key and value (decision 0014). A row with another one counts as missing: nothing that a
 * broker keeps is needed but its identity, which is stored twice, and comes back with the next `start`. Rows of an earlier
 * version have none, and are believed.
 */
import { valueChecksum } from "../wire/value-checksum.ts";
import type { SessionId } from "../znode/types.ts";

/**
 * Schema of the rows below, in the row `schema`; absent: 1. Raise it with every change that the version before must not read.
 */
const BROKER_SCHEMA = 1;

/** A row. A checksum that is null was never written: the row is of an earlier version. */
export interface RawRecord {
  readonly value: unknown;
  readonly crc: unknown;
}

/** Where a broker keeps its rows: SQLite in the object, memory in the simulator. It decides nothing. */
export interface BrokerBackend {
  /** Undefined: there is none. */
  read(key: string): RawRecord | undefined;
  /** Durable before anything that leaves the object afterwards. @throws Error when the storage does */
  write(key: string, value: string, crc: number): void;
}

/** Who a broker is; stored when it is first started. */
export interface BrokerIdentity {
  readonly ensemble: string;
  /** from 0 */
  readonly id: number;
  /** members of the ensemble */
  readonly ensembleSize: number;
  /** brokers 0 to brokerCount − 1 belong to this cluster */
  readonly brokerCount: number;
}

/** What a broker notes when it falls asleep. */
export interface Sleeping<Status> {
  readonly session: SessionId;
  /** number of its last write in that session */
  readonly xid: number;
  /** what it answers while it sleeps */
  readonly status: Status;
}

const IDENTITY_KEYS = ["identity", "identity_copy"] as const;

/** Keys of other texts that the object keeps here. */
type TextKey = "faults" | "counters";

/** A value, and whether it is known to be the one that was written. */
interface Stored {
  readonly value: string;
  readonly isVerified: boolean;
}

/** The rows of one broker. It has no state but what is stored. */
export class BrokerRecords<Status> {
  readonly #backend: BrokerBackend;
  readonly #name: string | undefined;

  /** @param name of the object, `{ensemble}/{brokerId}`; undefined: not known */
  constructor(backend: BrokerBackend, name: string | undefined) {
    this.#backend = backend;
    this.#name = name;
  }

  /** Why this version must not use the rows; undefined: it may. */
  get refusal(): string | undefined {
    const schema = Number(this.text("schema") ?? BROKER_SCHEMA);
    return schema > BROKER_SCHEMA
      ? `its storage is of schema ${schema}, and this version reads schemas up to ${BROKER_SCHEMA}: deploy that version or a later one`
      : undefined;
  }

  /** Undefined: there is none, or another one than was written. */
  #stored(key: string): Stored | undefined {
    const row = this.#backend.read(key);
    if (typeof row?.value !== "string") return undefined;
    const { value, crc } = row;
    if (crc === null || crc === undefined) return { value, isVerified: false };
    return crc === valueChecksum(key, value) ? { value, isVerified: true } : undefined;
  }

  /** A text that is kept for the object. */
  text(key: TextKey | "schema"): string | undefined {
    return this.#stored(key)?.value;
  }

  setText(key: TextKey, value: string): void {
    this.#set(key, value);
  }

  #set(key: string, value: string): void {
    this.#backend.write(key, value, valueChecksum(key, value));
  }

  get identity(): BrokerIdentity | undefined {
    for (const key of IDENTITY_KEYS) {
      const identity = objectOf(this.#stored(key)?.value) as BrokerIdentity | undefined;
      if (identity !== undefined && this.#isOurs(identity)) return identity;
    }
    return undefined;
  }

  /** A row without a checksum may hold the identity of another broker. */
  #isOurs({ ensemble, id }: BrokerIdentity): boolean {
    return this.#name === undefined || this.#name === `${ensemble}/${id}`;
  }

  /** Writes the rows that are not known to hold it, and the number of the schema beside them. */
  identify(identity: BrokerIdentity): void {
    const text = JSON.stringify(identity);
    for (const key of IDENTITY_KEYS) this.#ensure(key, text);
    this.#ensure("schema", `${BROKER_SCHEMA}`);
  }

  #ensure(key: string, text: string): void {
    const stored = this.#stored(key);
    if (stored?.value !== text || !stored.isVerified) this.#set(key, text);
  }

  /** The session that this or the last life opened last. */
  get session(): SessionId | undefined {
    const session = Number(this.#stored("session")?.value ?? Number.NaN);
    return Number.isSafeInteger(session) ? (session as SessionId) : undefined;
  }

  set session(session: SessionId) {
    this.#set("session", `${session}`);
  }

  /** Set while it sleeps: the session that continues afterwards, and what it was when it fell asleep. */
  get sleeping(): Sleeping<Status> | undefined {
    return objectOf(this.#stored("sleeping")?.value) as Sleeping<Status> | undefined;
  }

  set sleeping(sleeping: Sleeping<Status> | undefined) {
    this.#set("sleeping", sleeping === undefined ? "" : JSON.stringify(sleeping));
  }

  /** Counts a life; from 1 again when the count was damaged, since nothing depends on it. */
  nextBoot(): number {
    const last = Number(this.#stored("boot")?.value ?? 0);
    const boot = Number.isSafeInteger(last) ? last + 1 : 1;
    this.#set("boot", `${boot}`);
    return boot;
  }
}

/** The object of a JSON text; undefined: there is no text, or it holds none. */
export function objectOf(text: string | undefined): object | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
