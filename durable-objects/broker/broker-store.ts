/** What a broker keeps: who it is, the session of its last life, and its faults. Nothing until it is started. */
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

const SCHEMA = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

export class BrokerStore {
  readonly #sql: SqlStorage;

  /** rows since this object is in memory */
  readonly rows = { meta: 0, read: 0 };

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  #get(key: string): string | undefined {
    const exists =
      this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").toArray().length >
      0;
    if (!exists) return undefined;
    this.rows.read += 1;
    return this.#sql.exec<{ value: string }>("SELECT value FROM meta WHERE key = ?", key).toArray()[0]?.value;
  }

  #set(key: string, value: string): void {
    this.#sql.exec(SCHEMA);
    this.rows.meta += this.#sql.exec("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value).rowsWritten;
  }

  get identity(): BrokerIdentity | undefined {
    const text = this.#get("identity");
    return text === undefined ? undefined : (JSON.parse(text) as BrokerIdentity);
  }

  set identity(identity: BrokerIdentity) {
    this.#set("identity", JSON.stringify(identity));
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
    const text = this.#get("session");
    return text === undefined ? undefined : (Number(text) as SessionId);
  }

  set session(session: SessionId) {
    this.#set("session", `${session}`);
  }

  /** Set while it sleeps: the session that goes on afterwards, and what it was when it fell asleep. */
  get sleeping(): Sleeping | undefined {
    const text = this.#get("sleeping");
    return text === undefined || text === "" ? undefined : (JSON.parse(text) as Sleeping);
  }

  set sleeping(sleeping: Sleeping | undefined) {
    this.#set("sleeping", sleeping === undefined ? "" : JSON.stringify(sleeping));
  }

  get counters(): Counters {
    return { ...NO_COUNTERS, ...(JSON.parse(this.#get("counters") ?? "{}") as Partial<Counters>) };
  }

  set counters(counters: Counters) {
    this.#set("counters", JSON.stringify(counters));
  }

  /** Counts a life. */
  nextBoot(): number {
    const boot = Number(this.#get("boot") ?? 0) + 1;
    this.#set("boot", `${boot}`);
    return boot;
  }
}
