/** Why a node cannot start or continue by itself, and how to repair it. */
import { MEMOS_MAX } from "../config.ts";
import type { ApiEnv } from "../env.ts";
import { isReset } from "./node-stub.ts";

/** Errors of SQLite about a file that it cannot read. */
const UNREADABLE = /malformed|not a database|SQLITE_(CORRUPT|NOTADB|IOERR)|disk I\/O error/;
/** Error of the runtime when it cannot open the file: the object does not start, so it cannot report the reason. */
const INTERNAL = /internal error/;

/** Error of a node that cannot apply a committed txn. */
const STOPPED = /NODE_DOWN: this node has stopped: (.*)/;
/** Error of a node whose storage a later version has written. */
const LATER = /(its storage is of schema|a later version has added columns) .*/;

/** Error of a node that fails at its start for another reason, such as a full disk. */
const FAILED = /NODE_DOWN: this node (?:cannot start: (.*)|(cannot read its database: .*))/;

/** A database that cannot be read. */
export interface DatabaseDamage {
  /** what is damaged */
  readonly damage: string;
  /** the damage and its repair as a sentence, for the case that a quorum of the other nodes is whole */
  readonly reason: string;
}

/** Whether the runtime failed, not the object. */
export const isInternal = (error: unknown): boolean =>
  error instanceof Error && !isReset(error) && INTERNAL.test(error.message);

/** @param error error of a call of the node @returns undefined if it does not look like a damaged database */
export function damageOf(
  env: ApiEnv,
  ensemble: string,
  sid: number,
  error: unknown,
): DatabaseDamage | undefined {
  if (!(error instanceof Error) || isReset(error)) return undefined;
  const { message } = error;
  if (UNREADABLE.test(message)) {
    const words = message.replace(/^.*?NODE_DOWN: /, "").replace(/^this node cannot /, "it cannot ");
    const damage = `the database (${words})`;
    return { damage, reason: `its database is damaged (${words}). ${wipeOf(env, sid)}` };
  }
  if (!isInternal(error)) return undefined;
  const damage = `the database, perhaps: the runtime cannot start the node (${message})`;
  return {
    damage,
    reason: `the runtime cannot start it (${message}): its database may be damaged. ${deletionOf(env, ensemble, sid)}`,
  };
}

/**
 * Why a node whose database can be read does not take part: its version cannot continue, or it fails at its start.
 * @param error error of a call of the node @returns undefined if the error has another cause
 */
export function reasonOfStop(env: ApiEnv, sid: number, error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const stopped = STOPPED.exec(error.message)?.[1];
  if (stopped !== undefined) {
    const first = env.FAULTS === "on" ? "" : "deploy with the variable FAULTS=on, then ";
    return `it has stopped: ${stopped}. Deploy a version that can; it then starts by itself. If no version can, a wipe takes the state of the others: ${first}POST /v1/faults/nodes/${sid}/wipe`;
  }
  const later = LATER.exec(error.message)?.[0];
  if (later !== undefined) return `it does not start: ${later}. Deploy that version or a later one`;
  if (UNREADABLE.test(error.message)) return undefined;
  const [, start, database] = FAILED.exec(error.message) ?? [];
  const failed = start ?? (database && `it ${database}`);
  return failed && `it does not start: ${failed}`;
}

const wipeOf = (env: ApiEnv, sid: number): string => {
  const first = env.FAULTS === "on" ? "" : "deploy with the variable FAULTS=on, then ";
  return `A wipe restores it from the others: ${first}POST /v1/faults/nodes/${sid}/wipe`;
};

/** *map `{ensemble}/{sid}` → damage that this isolate has logged last* */
const logged = new Map<string, string>();

/** Logs the damage of a node, once while it stays the same: an object that does not start cannot log it. */
export function logDamage(ensemble: string, sid: number, { damage, reason }: DatabaseDamage): void {
  const name = `${ensemble}/${sid}`;
  // the runtime's error contains an id of its own each time
  const kind = damage.replace(/reference = \w+/, "");
  if (logged.get(name) === kind) return;
  if (logged.size >= MEMOS_MAX) logged.clear();
  logged.set(name, kind);
  console.error(JSON.stringify({ event: "damage", node: name, reason }));
}

/** How to repair it without the object: the object does not start, so no call can delete its storage. */
function deletionOf(env: ApiEnv, ensemble: string, sid: number): string {
  const id = env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`).toString();
  if (env.LOCAL !== "on") {
    return `On Cloudflare only their support can repair it: it is the object ${id} of the class ZooWeeperNode`;
  }
  const dir = env.LOCAL_OBJECTS_DIR ?? "objects";
  const file = `${dir}/zooweeper-ZooWeeperNode/${id}.sqlite`;
  return `Restore it from the others: stop, delete ${file} with its -wal and -shm files, start`;
}
