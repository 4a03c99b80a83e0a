/** Mutants of requests and their answers. */
import { CONNECTIONS, PROPOSALS, RESPONDER, RESULTS, SESSIONS, WRITE_PATH } from "../sources.ts";
import { type Mutant, mutant } from "./mutant.ts";

/** Mutants of requests. */
export const REQUEST_MUTANTS: readonly Mutant[] = [
  mutant(
    "snap-forgets-writes",
    "pending writes are not answered when a SNAP replaces the tree",
    "SERVER-3",
    WRITE_PATH,
    "      if (!write.sent && known === undefined) continue;\n",
    "      if (write.xid !== Number.MAX_VALUE) continue;\n",
  ),
  mutant(
    "dropped-learner-writes",
    "a leader keeps the queued writes of a learner that has left, which sends them again",
    "SERVER-4",
    PROPOSALS,
    "    this.#queue.keep((write) => write.origin !== learner);\n",
    "",
  ),
  mutant(
    "outbox-over-roles",
    "writes gathered for one leader are sent to the next one as well",
    "SERVER-3",
    WRITE_PATH,
    "    this.#outbox = [];\n    this.#parts.gather.reset();\n",
    "    this.#parts.gather.reset();\n",
  ),
  mutant(
    "prep-over-epochs",
    "a leader prepares on outstanding changes of an earlier epoch",
    "ZNODE: outstanding changes",
    PROPOSALS,
    "    this.#bytes = 0;\n    this.#prep.reset();\n",
    "    this.#bytes = 0;\n",
  ),
  mutant(
    "late-write-of-moved-session",
    "a write of a connection that its session has left is carried out",
    "SERVER-33",
    SESSIONS,
    "return owner !== undefined && owner !== connection;",
    "return owner !== undefined && owner === NO_CONNECTION;",
  ),
  mutant(
    "moved-session-stays-connected",
    "a connection that its session has left stays open",
    "SERVER-33",
    CONNECTIONS,
    'if (token !== undefined && this.nameOf(token) !== to) this.#disconnect(token, "SESSION_MOVED");',
    'if (token !== undefined && to === 0) this.#disconnect(token, "SESSION_MOVED");',
  ),
  mutant(
    "results-of-any-session",
    "a repeat is answered with the result of another session under the same number",
    "SERVER-6",
    RESULTS,
    "if (this.#xids[at] === xid && this.#sessions[at] === session) return at;",
    "if (this.#xids[at] === xid && session !== 0) return at;",
  ),
  mutant(
    "early-read-of-former-life",
    "a member that restarts answers a session's read while it catches up",
    "SERVER-34",
    RESPONDER,
    '      if (head.type !== "answered" && !this.#readiness.hasServed) return;\n',
    "",
  ),
  mutant(
    "former-life-answers",
    "a write that has not left its member is answered by a txn of an earlier life under the same name",
    "SERVER-35",
    RESPONDER,
    "head.xid === xid && (head.sent || xid > 0)",
    "head.xid === xid",
  ),
];
