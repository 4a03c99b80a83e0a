/** Why a node whose database is damaged does not answer, and how to repair it. */
import type { ApiEnv } from "../env.ts";
import { isReset } from "./node-stub.ts";

/** What SQLite says of a file that it cannot read. */
const UNREADABLE = /malformed|not a database|SQLITE_(CORRUPT|NOTADB|IOERR)|disk I\/O error/;
/** What the runtime says when it cannot open the file: the object does not start, so nothing of ours can say why. */
const INTERNAL = /internal error/;

/** A database that cannot be read. */
export interface DatabaseDamage {
  /** what is damaged */
  readonly damage: string;
  /** the same in a sentence, with the way to repair it while a quorum of the others is whole */
  readonly reason: string;
}

/** Did the runtime fail, and not the object? */
export const isInternal = (error: unknown): boolean =>
  error instanceof Error && !isReset(error) && INTERNAL.test(error.message);

/** @param error what a call of the node ended with @returns undefined: it does not look like a damaged database */
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

const wipeOf = (env: ApiEnv, sid: number): string => {
  const first = env.FAULTS === "on" ? "" : "deploy with the variable FAULTS=on, then ";
  return `A wipe restores it from the others: ${first}POST /v1/faults/nodes/${sid}/wipe`;
};

/** The way without the object, which does not start: no call reaches it, so nothing of ours can delete its storage. */
function deletionOf(env: ApiEnv, ensemble: string, sid: number): string {
  const id = env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`).toString();
  if (env.LOCAL !== "on") {
    return `On Cloudflare only their support can repair it: it is the object ${id} of the class ZooWeeperNode`;
  }
  const dir = env.LOCAL_OBJECTS_DIR ?? "objects";
  const file = `${dir}/zooweeper-ZooWeeperNode/${id}.sqlite`;
  return `Restore it from the others: stop, delete ${file} with its -wal and -shm files, start`;
}
