/** Why a node does not answer that cannot start or go on by itself, and what helps. */
import type { ApiEnv } from "../env.ts";
import { isReset } from "./node-stub.ts";

/** What SQLite says of a file that it cannot read. */
const UNREADABLE = /malformed|not a database|SQLITE_(CORRUPT|NOTADB|IOERR)|disk I\/O error/;
/** What a node says that cannot apply a committed txn. */
const STOPPED = /NODE_DOWN: this node has stopped: (.*)/;
/** What a node says whose storage a later version has written. */
const LATER = /its storage is of schema .*/;
/** What the runtime says when it cannot open the file: the object does not start, so nothing of ours can say why. */
const INTERNAL = /internal error/;

/** @param error what a call of the node ended with @returns undefined: it does not look like a damaged database */
export function reasonOfDamage(
  env: ApiEnv,
  ensemble: string,
  sid: number,
  error: unknown,
): string | undefined {
  if (!(error instanceof Error) || isReset(error)) return undefined;
  const { message } = error;
  const wipe = `${env.FAULTS === "on" ? "" : "deploy with the variable FAULTS=on, then "}POST /v1/faults/nodes/${sid}/wipe`;
  const stopped = STOPPED.exec(message)?.[1];
  if (stopped !== undefined) {
    return `it has stopped: ${stopped}. Deploy a version that can; it then starts by itself. If no version can, a wipe takes the state of the others: ${wipe}`;
  }
  const later = LATER.exec(message)?.[0];
  if (later !== undefined) return `it does not start: ${later}. Deploy that version or a later one`;
  if (UNREADABLE.test(message)) {
    const words = message.replace(/^.*?NODE_DOWN: /, "").replace(/^this node cannot /, "it cannot ");
    return `its database is damaged (${words}). A wipe restores it from the others: ${wipe}`;
  }
  if (!INTERNAL.test(message)) return undefined;
  const id = env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`).toString();
  return `the runtime cannot start it (${message}): its database may be damaged. In a local run restore it from the others: stop, delete the files of objects/zooweeper-ZooWeeperNode/${id}.sqlite in the state directory, start`;
}
