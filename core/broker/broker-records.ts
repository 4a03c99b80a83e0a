/**
 * The stored rows of a broker: its identity, the session of its last life, and its state when it fell asleep. There are
 * none until it is started.
 *
 * Every row has a checksum over its key and value (decision 0014). A row with a wrong checksum counts as missing: only the
 * identity is needed, which is stored twice and is repeated by the next `start`. Rows of an earlier version have no
 * checksum and are accepted.
 */
import { valueChecksum } from "../wire/value-checksum.ts";
import type { SessionId } from "../znode/types.ts";

/**
 * Schema of the rows below, in the row `schema`; absent: 1. Increment it with every change that the previous version must not read.
 */
const BROKER_SCHEMA = 1;

/** A row. A null checksum means that an earlier version wrote the row. */
export interface RawRecord {
  readonly value: unknown;
  readonly crc: unknown;
}

/** Storage of a broker's rows: SQLite in the object, memory in the simulator. It decides nothing. */
export interface BrokerBackend {
  /** The row under a key; undefined if there is none. */
  read(key: string): RawRecord | undefined;
  /** Writes a row, which is durable before any later output of the object. @throws Error if the storage fails */
  write(key: string, value: string, crc: number): void;
}

/** Identity of a broker; stored when it is first started. */
export interface BrokerIdentity {
  readonly ensemble: string;
  /** from 0 */
  readonly id: number;
  /** members of the ensemble */
  readonly ensembleSize: number;
  /** brokers 0 to brokerCount − 1 belong to this cluster */
  readonly brokerCount: number;
}

/** State that a broker stores when it falls asleep. */
export interface Sleeping<Status> {
  readonly session: SessionId;
  /** number of its last write in that session */
  readonly xid: number;
  /** the status that it answers while it sleeps */
  readonly status: Status;
}

const IDENTITY_KEYS = ["identity", "identity_copy"] as const;

/** Keys of further texts that the object stores. */
type TextKey = "faults" | "counters";

/** A value, and whether a checksum has verified it. */
interface Stored {
  readonly value: string;
  readonly isVerified: boolean;
}

/** The rows of one broker. It has no state in memory. */
export class BrokerRecords<Status> {
  readonly #backend: BrokerBackend;
  readonly #name: string | undefined;

  /** @param name name of the object, `{ensemble}/{brokerId}`; undefined if unknown */
  constructor(backend: BrokerBackend, name: string | undefined) {
    this.#backend = backend;
    this.#name = name;
  }

  /** Why this version must not use the rows; undefined if it may. */
  get refusal(): string | undefined {
    const schema = Number(this.text("schema") ?? BROKER_SCHEMA);
    return schema > BROKER_SCHEMA
      ? `its storage is of schema ${schema}, and this version reads schemas up to ${BROKER_SCHEMA}: deploy that version or a later one`
      : undefined;
  }

  /** The value under a key; undefined if there is none, or if it is damaged. */
  #stored(key: string): Stored | undefined {
    const row = this.#backend.read(key);
    if (typeof row?.value !== "string") return undefined;
    const { value, crc } = row;
    if (crc === null || crc === undefined) return { value, isVerified: false };
    return crc === valueChecksum(key, value) ? { value, isVerified: true } : undefined;
  }

  /** A text of the object. */
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

  /** Writes the identity to the rows that do not verifiably contain it, and the number of the schema. */
  identify(identity: BrokerIdentity): void {
    const text = JSON.stringify(identity);
    for (const key of IDENTITY_KEYS) this.#ensure(key, text);
    this.#ensure("schema", `${BROKER_SCHEMA}`);
  }

  #ensure(key: string, text: string): void {
    const stored = this.#stored(key);
    if (stored?.value !== text || !stored.isVerified) this.#set(key, text);
  }

  /** The last session that this or the previous life opened. */
  get session(): SessionId | undefined {
    const session = Number(this.#stored("session")?.value ?? Number.NaN);
    return Number.isSafeInteger(session) ? (session as SessionId) : undefined;
  }

  set session(session: SessionId) {
    this.#set("session", `${session}`);
  }

  /** Its state when it fell asleep, with the session that continues afterwards; undefined while it is awake. */
  get sleeping(): Sleeping<Status> | undefined {
    return objectOf(this.#stored("sleeping")?.value) as Sleeping<Status> | undefined;
  }

  set sleeping(sleeping: Sleeping<Status> | undefined) {
    this.#set("sleeping", sleeping === undefined ? "" : JSON.stringify(sleeping));
  }

  /** Counts a life; restarts from 1 if the count was damaged, since nothing depends on it. */
  nextBoot(): number {
    const last = Number(this.#stored("boot")?.value ?? 0);
    const boot = Number.isSafeInteger(last) ? last + 1 : 1;
    this.#set("boot", `${boot}`);
    return boot;
  }
}

/** The object in a JSON text; undefined if there is no text, or no object in it. */
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
