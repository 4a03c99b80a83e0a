/** Why a node whose database is damaged does not answer, and how to repair it. */
import type { ApiEnv } from "../env.ts";
import { isReset } from "./node-stub.ts";

/** What SQLite says of a file that it cannot read. */
const UNREADABLE = /malformed|not a database|SQLITE_(CORRUPT|NOTADB|IOERR)|disk I\/O error/;
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
  if (UNREADABLE.test(message)) {
    const words = message.replace(/^.*?NODE_DOWN: /, "").replace(/^this node cannot /, "it cannot ");
    const first = env.FAULTS === "on" ? "" : "deploy with the variable FAULTS=on, then ";
    return `its database is damaged (${words}). A wipe restores it from the others: ${first}POST /v1/faults/nodes/${sid}/wipe`;
  }
  if (!INTERNAL.test(message)) return undefined;
  const id = env.ZOOWEEPER_NODE.idFromName(`${ensemble}/${sid}`).toString();
  return `the runtime cannot start it (${message}): its database may be damaged. In a local run restore it from the others: stop, delete the files of objects/zooweeper-ZooWeeperNode/${id}.sqlite in the state directory, start`;
}
