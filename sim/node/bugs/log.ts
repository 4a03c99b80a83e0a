/** Bugs of the log: what is acked, written, committed and applied, and when. */
import { FOLLOWER, HISTORY, LEARNER, LOG, QUORUM_VERIFIER, STORAGE } from "../sources.ts";
import type { Patch, SeededBug } from "./bug.ts";

/** a place for writes that are put off */
const LATE: Patch = {
  file: FOLLOWER,
  find: "  #staging: Staging | null = null;\n",
  replace: "  #staging: Staging | null = null;\n  readonly #late: DurableWrite[] = [];\n",
};

/** Bugs of the log and the storage. */
export const LOG_BUGS: readonly SeededBug[] = [
  {
    name: "newleader-acked-before-log",
    what: "NEWLEADER is acked while the history it confirms is in memory only, until UPTODATE",
    source: "ZOOKEEPER-4646, 3023",
    patches: [
      {
        file: FOLLOWER,
        find: "    const writes = staging.adopt(host.history, host.tree);\n",
        replace:
          '    const adopted = staging.adopt(host.history, host.tree);\n    const writes = adopted.filter(({ type }) => type !== "append");\n    this.#late.push(...adopted.filter(({ type }) => type === "append"));\n',
      },
      LATE,
      {
        file: FOLLOWER,
        find: "    host.step.persist([host.history.append(entry)]);",
        replace: "    host.step.persist([...this.#late.splice(0), host.history.append(entry)]);",
      },
      {
        file: FOLLOWER,
        find: '    this.phase = "BROADCAST";\n',
        replace:
          '    this.phase = "BROADCAST";\n    if (this.#late.length > 0) host.step.persist(this.#late.splice(0));\n',
      },
    ],
  },
  {
    name: "ack-before-write",
    what: "a follower acks a proposal that it has in memory, and writes it when it is committed",
    source: "ZOOKEEPER-4785; reliability, T20",
    patches: [
      LATE,
      {
        file: FOLLOWER,
        find: "    host.step.persist([host.history.append(entry)]);\n",
        replace: "    this.#late.push(host.history.append(entry));\n",
      },
      {
        file: FOLLOWER,
        find: "    host.history.commitUpTo(message.zxid);\n",
        replace:
          "    if (this.#late.length > 0) host.step.persist(this.#late.splice(0));\n    host.history.commitUpTo(message.zxid);\n",
      },
    ],
  },
  {
    name: "applied-before-write",
    what: "a member applies an entry that is committed elsewhere and not yet on its own disk",
    source: "ZOOKEEPER-4882",
    patches: [
      {
        file: HISTORY,
        find: "const upTo = minZxid(this.#lastCommittedZxid, this.#lastDurableZxid);",
        replace: "const upTo = this.#lastCommittedZxid;",
      },
    ],
  },
  {
    name: "uncommitted-applied",
    what: "a follower applies a proposal when it arrives, not when it is committed",
    source: "ZOOKEEPER-1549; uncommitted proposals served",
    rare: true,
    patches: [
      {
        file: FOLLOWER,
        find: "      host.history.commitUpTo(message.commit);\n    }\n    return true;",
        replace: "      host.history.commitUpTo(message.last);\n    }\n    return true;",
      },
    ],
  },
  {
    name: "recovery-applies-tail",
    what: "a member that starts applies its whole log, not only the part that it knows to be committed",
    source: "ZOOKEEPER-1549, 3644",
    patches: [
      { file: STORAGE, find: "maxZxid(this.log.committed, checkpoint.zxid)", replace: "this.log.last.zxid" },
    ],
  },
  {
    name: "commit-without-quorum",
    what: "one ack less than a quorum commits an entry",
    source: "Zab, DSN 2011, phase 3",
    patches: [
      {
        file: QUORUM_VERIFIER,
        find: "sorted[this.majority - 1]",
        replace: "sorted[Math.max(0, this.majority - 2)]",
      },
    ],
  },
  {
    name: "commit-without-leader",
    what: "a follower that concludes a commit counts its leader for what only itself holds durably",
    source: "Zab, DSN 2011, phase 3; ZAB-106",
    patches: [
      {
        file: FOLLOWER,
        find: "      [this.leader, this.#leaderDurable],\n",
        replace: "      [this.leader, history.lastDurableZxid],\n",
      },
    ],
  },
  {
    name: "commit-out-of-order",
    what: "an entry is committed once a quorum has acked any entry after it: the highest ack counts",
    source: "ZooKeeper's Leader.tryToCommit; TLA+ commitInconsistent",
    patches: [
      {
        file: FOLLOWER,
        find: 'if (this.phase !== "BROADCAST" || compareZxid(message.zxid, host.history.lastLogged.zxid) > 0)',
        replace: 'if (this.phase !== "BROADCAST")',
      },
      {
        file: LEARNER,
        find: "    if (compareZxid(this.#sent, zxid) < 0) return NEVER;\n",
        replace: "",
      },
    ],
  },
  {
    name: "log-cut-below-slowest",
    what: "the log is cut though a learner in the active set needs it, which then takes a SNAP",
    source: "ZAB-14",
    patches: [
      {
        file: LOG,
        find: " || compareZxid(row.last, slowest) > 0;",
        replace: ";",
      },
    ],
  },
];
