/** Mutants of links, of the log and of its synchronization. */
import { DIGEST_CHECK, HISTORY, LEADER, LINKS, LOG, SERVER } from "../sources.ts";
import { type Mutant, mutant } from "./mutant.ts";

/** Mutants of the log and the storage. */
export const LOG_MUTANTS: readonly Mutant[] = [
  // ── links ──
  mutant(
    "call-taken-twice",
    "a call that is delivered twice is handled twice",
    "ZAB-86",
    LINKS,
    '    if (origin.seq < link.inSeq) return "LATE";\n',
    "",
  ),
  mutant(
    "gap-unnoticed",
    "a gap in the calls of a link is not detected",
    "ZAB-86",
    LINKS,
    '    if (origin.seq > link.inSeq) order = "INTERRUPTED";\n',
    "",
  ),
  mutant(
    "leader-without-quorum",
    "a leader that has lost its quorum continues to lead",
    "ZAB-79",
    LEADER,
    "if (now - this.#quorumCheck.lostSince > silence) {",
    "if (now < 0) {",
  ),

  // ── the log and its synchronization ──
  mutant(
    "commit-noted-too-far",
    "a log row is marked as committed when it is written",
    "ZAB-17",
    HISTORY,
    "committed: minZxid(this.#lastCommittedZxid, entry.last),",
    "committed: entry.last,",
  ),
  mutant(
    "checkpoint-under-snap",
    "a checkpoint is written while a SNAP is read from the last one",
    "ZAB-80",
    SERVER,
    "    if (this.#zab.readsSnapshot) return false;\n",
    "",
  ),
  mutant(
    "log-cut-one-too-far",
    "the log is cut one row too far",
    "ZAB-14",
    LOG,
    "    const last = this.#rows[drop - 1];\n",
    "    if (drop > 0 && drop < this.#rows.length) drop += 1;\n    const last = this.#rows[drop - 1];\n",
  ),
  mutant(
    "digests-never-compared",
    "a learner does not compare the leader's digest with its own",
    "ZAB-90",
    DIGEST_CHECK,
    "    else this.#absorb(this.#zab.diverged(now, zxid));\n",
    "    else if (now < 0) this.#absorb(this.#zab.diverged(now, zxid));\n",
  ),
];
