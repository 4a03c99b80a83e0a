/**
 * Damage in the databases of real objects. Three members and a partition in one workerd are killed; rows of one
 * member's database and of the partition's are deleted, changed, cut or exchanged; all start again. Every
 * acknowledged value has to exist or be reported as damaged, every member has to serve again, and elections have to
 * end.
 */
import { join } from "node:path";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { must } from "../../core/assert.ts";
import { build } from "../../scripts/local/build.ts";
import { Chance } from "../../sim/random.ts";
import { databasesOf, inDatabase, nodeDatabases } from "./databases.ts";
import { RealEnsemble } from "./ensemble.ts";

/** Not a nemesis among the others: it strikes while nobody lives. */
export const DAMAGE = "damage";
const NODES = 3;
/** A short log: the tree cannot always be made again from it. */
const LOG_RETAIN_TXNS = ["1", "200", "1000000"];
/** More than a checkpoint's changes. */
const ZNODES = 1_100;
const OPS_PER_MULTI = 400;
/** A member that takes longer to serve again stays down, as far as its users can tell. */
const WHOLE_MS = 30_000;
export const EPOCHS_MAX = 5;
const HEADERS = { "content-type": "application/json" };

/** What was damaged, in words: `znode_0: flip version`. */
type Done = string;

export interface DamageOutcome {
  readonly seed: number;
  readonly done: readonly Done[];
  readonly faults: readonly string[];
  /** members and partitions were up again, ms after the start of the process was asked for */
  readonly wholeMs: number;
  readonly epochs: number;
  /** znodes and records that were compared */
  readonly values: number;
  /** records that were said to be damaged */
  readonly corrupt: number;
}

type Row = Record<string, SQLInputValue>;

const anyOf = (chance: Chance, values: readonly SQLInputValue[]): SQLInputValue =>
  values[chance.below(values.length)] ?? null;

/** Another value of the same type, or of another. */
function changed(chance: Chance, value: SQLInputValue): SQLInputValue {
  if (value instanceof Uint8Array) {
    if (value.length === 0 || chance.oneIn(4)) return anyOf(chance, [null, "text", new Uint8Array(3)]);
    if (chance.oneIn(3)) return value.slice(0, chance.below(value.length));
    const copy = value.slice();
    const at = chance.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << chance.below(8));
    return copy;
  }
  if (typeof value === "number")
    return anyOf(chance, [value ^ (1 << chance.below(30)), value + 2 ** 32, -1, null, "x"]);
  if (typeof value === "string") {
    const at = chance.below(Math.max(1, value.length));
    return anyOf(chance, [value.slice(0, at), `${value.slice(0, at)}7${value.slice(at + 1)}`, null, 5]);
  }
  return 7;
}

/** @param keys columns that name a row @returns in words what was done; undefined: there is nothing to do it to */
function damageTable(
  chance: Chance,
  database: DatabaseSync,
  table: string,
  keys: readonly string[],
  keepNewest: boolean,
  condition = "true",
): Done | undefined {
  const order = keys.join(", ");
  const rows = database.prepare(`SELECT * FROM ${table} WHERE ${condition} ORDER BY ${order}`).all() as Row[];
  // The newest row of a log is the end of the log: without it the database is that of a moment before.
  const candidates = keepNewest ? rows.slice(0, -1) : rows;
  if (candidates.length === 0) return undefined;
  const row = chance.oneOf(candidates);
  const where = keys.map((key) => `${key} IS ?`).join(" AND ");
  const of = (each: Row): SQLInputValue[] => keys.map((key) => each[key] ?? null);
  const set = (each: Row, column: string, value: SQLInputValue): void => {
    try {
      database.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(value, ...of(each));
    } catch {
      // The table does not take this value: a row that is missing is damage too.
      database.prepare(`DELETE FROM ${table} WHERE ${where}`).run(...of(each));
    }
  };
  const columns = Object.keys(row);
  const kind = chance.below(8);
  if (kind === 0) {
    const some = chance.shuffled(candidates).slice(0, chance.between(1, 3));
    for (const each of some) database.prepare(`DELETE FROM ${table} WHERE ${where}`).run(...of(each));
    return `${table}: ${some.length} rows deleted`;
  }
  if (kind === 1 && candidates.length > 1) {
    const other = chance.oneOf(candidates.filter((each) => each !== row));
    for (const column of columns.filter((each) => !keys.includes(each))) {
      set(row, column, other[column] ?? null);
      set(other, column, row[column] ?? null);
    }
    return `${table}: two rows exchanged`;
  }
  if (kind === 2 && !keepNewest && chance.oneIn(3)) {
    database.exec(chance.oneIn(2) ? `DELETE FROM ${table}` : `DROP TABLE ${table}`);
    return `${table}: all rows deleted`;
  }
  const column = chance.oneOf(columns);
  set(row, column, changed(chance, row[column] ?? null));
  return `${table}: ${column} changed`;
}

const MEMBER_TABLES: readonly (readonly [string, readonly string[]])[] = [
  ["znode_0", ["path"]],
  ["znode_1", ["path"]],
  ["session_0", ["id"]],
  ["session_1", ["id"]],
  ["meta", ["key"]],
  ["txn_log", ["seq"]],
];

function damageMember(chance: Chance, path: string, done: Done[]): void {
  inDatabase(path, (database) => {
    for (let left = chance.between(1, 3); left > 0; ) {
      const [table, keys] = chance.oneOf(MEMBER_TABLES);
      const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
      const what = exists ? damageTable(chance, database, table, keys, table === "txn_log") : undefined;
      if (what === undefined) continue;
      done.push(what);
      left -= 1;
    }
  });
}

/** Three members, a broker and what was acknowledged, over many damages. */
class Damaged {
  readonly #ensemble: RealEnsemble;
  readonly #chance: Chance;
  readonly #vars: Readonly<Record<string, string>>;
  readonly #values = new Map<string, string>();
  /** *offset → value*, from `#first` on */
  readonly #records: string[] = [];
  /** offsets before it were damaged in an earlier round, or may have been */
  #first = 0;
  readonly #topic: string;

  constructor(ensemble: RealEnsemble, chance: Chance, seed: number) {
    this.#ensemble = ensemble;
    this.#chance = chance;
    this.#vars = { BROKER_COUNT: "1", LOG_RETAIN_TXNS: chance.oneOf(LOG_RETAIN_TXNS) };
    this.#topic = `t${seed}`;
  }

  async #post(path: string, body: unknown): Promise<Response> {
    const url = `${this.#ensemble.api}${path}`;
    const response = await fetch(url, { method: "POST", headers: HEADERS, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${await response.text()}`);
    return response;
  }

  /** Creates and sets znodes, many in one multi. */
  async #write(count: number): Promise<void> {
    for (let left = count; left > 0; left -= OPS_PER_MULTI) {
      const written = new Map<string, string>();
      const ops = Array.from({ length: Math.min(left, OPS_PER_MULTI) }, () => {
        const fresh = this.#values.size + written.size < ZNODES;
        const path = fresh ? `/n${this.#values.size + written.size}` : `/n${this.#chance.below(ZNODES)}`;
        const text = `v${this.#chance.below(1e9)}`;
        const op = this.#values.has(path) || written.has(path) ? "set" : "create";
        if (!this.#values.has(path) || op === "set") written.set(path, text);
        return op === "set" ? { op, path, text, version: -1 } : { op, path, text };
      });
      await this.#post("/v1/multi", { ops });
      for (const [path, text] of written) this.#values.set(path, text);
    }
  }

  async #produce(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const values = Array.from({ length: this.#chance.between(1, 3) }, () => `r${this.#chance.below(1e9)}`);
      const response = await this.#post(`/topics/${this.#topic}`, {
        records: values.map((value) => ({ value })),
      });
      const { offsets } = (await response.json()) as { offsets: readonly { offset: number }[] };
      offsets.forEach(({ offset }, index) => {
        this.#records[offset] = must(values[index], "an offset for each record");
      });
    }
  }

  async prepare(): Promise<void> {
    await this.#ensemble.start(true, this.#vars);
    await this.#ensemble.whole(WHOLE_MS);
    await this.#write(ZNODES);
    await this.#post("/v1/sessions", { timeoutMs: 40_000 });
    const clusters = (await (await fetch(`${this.#ensemble.api}/v3/clusters`)).json()) as {
      data: readonly { cluster_id: string }[];
    };
    await this.#post(`/v3/clusters/${clusters.data[0]?.cluster_id}/topics`, {
      topic_name: this.#topic,
      partitions_count: 1,
    });
    await this.#produce(10);
  }

  /** One damage: of a member, and half the time of the partition. */
  async round(seed: number): Promise<DamageOutcome> {
    const { sids } = this.#ensemble;
    const faults: string[] = [];
    const done: Done[] = [];
    await this.#write(this.#chance.between(1, 300));
    const settled = await this.#ensemble.settled(WHOLE_MS);
    if (settled !== undefined) faults.push(`the members differ before anything is damaged: ${settled}`);
    const before = (await this.#ensemble.view()).epoch;
    await this.#ensemble.stop();
    const victim = this.#chance.oneOf(sids);
    damageMember(
      this.#chance,
      must(nodeDatabases(this.#ensemble.objectsDir).get(victim), "the member has a database"),
      done,
    );
    const hurt = this.#chance.oneIn(2);
    if (hurt) {
      for (const path of databasesOf(this.#ensemble.databasesOf("TopicPartition"), "chunk")) {
        const what = inDatabase(path, (database) =>
          damageTable(this.#chance, database, "chunk", ["base"], true, `base >= ${this.#first}`),
        );
        if (what !== undefined) done.push(what);
      }
    }
    const startedAt = performance.now();
    await this.#ensemble.start(false, this.#vars);
    if (!(await this.#ensemble.whole(WHOLE_MS)))
      faults.push(`[down] member ${victim}: ${JSON.stringify((await this.#ensemble.view()).nodes)}`);
    const wholeMs = performance.now() - startedAt;
    await this.#write(this.#chance.between(1, 50));
    const differ = await this.#ensemble.settled(WHOLE_MS);
    if (differ !== undefined) faults.push(`[differ] ${differ}`);
    await this.#checkZnodes(faults);
    const corrupt = await this.#checkRecords(faults);
    if (corrupt > 0 && !done.some((each) => each.startsWith("chunk")))
      faults.push(`${corrupt} records damaged by nobody`);
    const epochs = (await this.#ensemble.view()).epoch - before;
    if (epochs > EPOCHS_MAX) faults.push(`[epochs] ${epochs}`);
    const values = this.#values.size + this.#records.length - this.#first;
    // What is damaged stays so: the next round has records of its own.
    if (hurt) await this.#forgetRecords();
    await this.#produce(8);
    return { seed, done, faults, wholeMs, epochs, values, corrupt };
  }

  async #checkZnodes(faults: string[]): Promise<void> {
    const at = this.#chance.oneOf(this.#ensemble.sids);
    const entries = [...this.#values];
    for (let from = 0; from < entries.length; from += 50) {
      await Promise.all(
        entries.slice(from, from + 50).map(async ([path, text]) => {
          const response = await fetch(`${this.#ensemble.api}/v1/znodes${path}`, {
            headers: { accept: "application/octet-stream", "zoo-node": `${at}` },
          });
          const found = response.ok ? await response.text() : `${response.status} ${await response.text()}`;
          if (found !== text) faults.push(`[lost] ${path} is ${found} and not ${text} at node ${at}`);
        }),
      );
    }
  }

  /** Reads on behind damage as the answers say. @returns records that were said to be damaged */
  async #checkRecords(faults: string[]): Promise<number> {
    let corrupt = 0;
    const path = `${this.#ensemble.api}/topics/${this.#topic}/partitions/0/records`;
    for (let next = this.#first; next < this.#records.length; ) {
      const response = await fetch(`${path}?format=json&offset=${next}`);
      const text = await response.text();
      const end = Number(response.headers.get("x-next-offset"));
      if (!response.ok) {
        if (!text.includes("CORRUPT_MESSAGE") || !(end > next)) {
          faults.push(`[records] offset ${next}: ${response.status} ${text}`);
          return corrupt;
        }
        corrupt += Math.min(end, this.#records.length) - next;
        next = end;
        continue;
      }
      for (const { offset, value } of JSON.parse(text) as readonly { offset: number; value: string }[]) {
        const expected = this.#records[offset];
        if (expected !== undefined && expected !== value)
          faults.push(`[lost] record ${offset} is ${value} and not ${expected}`);
        if (offset > next) faults.push(`[lost] records ${next} to ${offset - 1} are skipped`);
        next = offset + 1;
      }
      if (end !== next) faults.push(`[records] the read ends at ${end} and not at ${next}`);
      if (text === "[]") {
        faults.push(`[lost] no records from offset ${next} on`);
        return corrupt;
      }
    }
    return corrupt;
  }

  async #forgetRecords(): Promise<void> {
    const response = await fetch(`${this.#ensemble.api}/topics/${this.#topic}/partitions/0/records?tail=0`);
    this.#first = Number(response.headers.get("x-high-watermark"));
  }
}

/** Runs that share an ensemble: each begins with what the one before has left. */
const RUNS_PER_ENSEMBLE = 8;

/** So many damages, each followed by a whole check. @returns what came of each */
export async function damageRuns(
  seed: number,
  runs: number,
  dir: string,
  say: (line: string) => void,
): Promise<DamageOutcome[]> {
  await build();
  const outcomes: DamageOutcome[] = [];
  for (let first = 0; first < runs; first += RUNS_PER_ENSEMBLE) {
    const ensemble = new RealEnsemble(NODES, join(dir, "damage"));
    try {
      const damaged = new Damaged(ensemble, new Chance(seed + first), seed + first);
      await damaged.prepare();
      for (let run = first; run < Math.min(runs, first + RUNS_PER_ENSEMBLE); run++) {
        const outcome = await damaged.round(seed + run);
        outcomes.push(outcome);
        say(describeDamage(outcome));
        if (outcome.faults.length > 0) break;
      }
    } finally {
      await ensemble.stop();
    }
  }
  return outcomes;
}

export function describeDamage({
  seed,
  done,
  faults,
  wholeMs,
  epochs,
  values,
  corrupt,
}: DamageOutcome): string {
  const sign = faults.length === 0 ? "✓" : "✗";
  const line = `${sign} damage (seed ${seed}): ${done.join(", ")}; whole after ${Math.round(wholeMs)} ms, ${epochs} epochs, ${values} values compared, ${corrupt} records said to be damaged`;
  return [line, ...faults.slice(0, 5).map((fault) => `  ${fault}`)].join("\n");
}

/** One line for all. */
export function damageSummary(outcomes: readonly DamageOutcome[]): string {
  const failed = outcomes.filter(({ faults }) => faults.length > 0).length;
  const most = (of: (outcome: DamageOutcome) => number): number => Math.max(0, ...outcomes.map(of));
  const sum = (of: (outcome: DamageOutcome) => number): number =>
    outcomes.reduce((total, each) => total + of(each), 0);
  return `damage: ${outcomes.length} runs, ${failed} with a fault; ${sum(({ done }) => done.length)} damages, ${sum(({ values }) => values)} values compared, ${sum(({ corrupt }) => corrupt)} records said to be damaged; at most ${most(({ epochs }) => epochs)} epochs and ${Math.round(most(({ wholeMs }) => wholeMs))} ms until all served again`;
}
