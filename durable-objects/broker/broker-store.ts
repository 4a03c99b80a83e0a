/** What a broker keeps: who it is, the session of its last life, and whether it was killed. Nothing until it is started. */
import type { SessionId } from "../../core/znode/types.ts";
import type { BrokerIdentity } from "./rpc.ts";

const SCHEMA = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

export class BrokerStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  #get(key: string): string | undefined {
    const exists =
      this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").toArray().length >
      0;
    if (!exists) return undefined;
    return this.#sql.exec<{ value: string }>("SELECT value FROM meta WHERE key = ?", key).toArray()[0]?.value;
  }

  #set(key: string, value: string): void {
    this.#sql.exec(SCHEMA);
    this.#sql.exec("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value);
  }

  get identity(): BrokerIdentity | undefined {
    const text = this.#get("identity");
    return text === undefined ? undefined : (JSON.parse(text) as BrokerIdentity);
  }

  set identity(identity: BrokerIdentity) {
    this.#set("identity", JSON.stringify(identity));
  }

  /** Set by the fault `kill`, cleared by `revive`. */
  get killed(): boolean {
    return this.#get("killed") === "yes";
  }

  set killed(killed: boolean) {
    this.#set("killed", killed ? "yes" : "no");
  }

  /** The session that this or the last life opened last. */
  get session(): SessionId | undefined {
    const text = this.#get("session");
    return text === undefined ? undefined : (Number(text) as SessionId);
  }

  set session(session: SessionId) {
    this.#set("session", `${session}`);
  }

  /** Counts a life. */
  nextBoot(): number {
    const boot = Number(this.#get("boot") ?? 0) + 1;
    this.#set("boot", `${boot}`);
    return boot;
  }
}
