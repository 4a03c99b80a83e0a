/** Seeded bugs of partitions, brokers and the controller: the broker's profile finds them. */
import type { SeededBug } from "./bug.ts";

const APPENDS = "core/broker/append-path.ts";
const COMMIT = "core/broker/group-commit.ts";
const CONTROLLER = "core/broker/controller.ts";
const LOG = "core/broker/partition-log.ts";
const LOOP = "core/broker/broker-loop.ts";
const PARTITION = "core/broker/partition.ts";
const REPLICA = "core/broker/replica.ts";
const TAIL = "core/broker/tail.ts";

/** The profile that finds these. */
const profile = "broker";

/** Bugs of partitions, the controller and brokers. */
export const BROKER_BUGS: readonly SeededBug[] = [
  {
    name: "append-answered-early",
    what: "a partition acknowledges records before they are persisted",
    source: "Kafka acks=1 without a flush",
    profile,
    patches: [
      {
        file: REPLICA,
        find: '    else this.#persist({ type: "flush", commit }, commit.writes);\n',
        replace:
          '    else {\n      for (const [i, { id }] of commit.batch.entries()) {\n        const answer = commit.plan.results[i];\n        if (answer !== undefined) this.#respond(id, answer);\n      }\n      this.#persist({ type: "flush", commit }, commit.writes);\n    }\n',
      },
      {
        file: APPENDS,
        find: '    const effects = batch.map(({ id }, i): ReplicaEffect => {\n      const answer = must(plan.results[i], "each append has a result");\n      return { type: "respond", id, answer };\n    });\n',
        replace: "    const effects: ReplicaEffect[] = [];\n",
      },
    ],
  },
  {
    name: "idempotency-key-not-stored",
    what: "an idempotency key is not part of the transaction of its records",
    source: "PARTITION-7",
    profile,
    patches: [
      {
        file: COMMIT,
        find: "    if (plan.keys.length > 0) writes.push(keys.write(plan.keys));\n",
        replace: "",
      },
    ],
  },
  {
    name: "fenced-epoch-accepted",
    what: "a partition takes records under an older leader epoch",
    source: "KIP-101",
    profile,
    patches: [
      {
        file: PARTITION,
        find: "if (leaderEpoch === -1 || leaderEpoch === now.leaderEpoch) return undefined;",
        replace: "if (leaderEpoch === -1 || leaderEpoch <= now.leaderEpoch) return undefined;",
      },
    ],
  },
  {
    name: "leadership-not-stored",
    what: "a partition answers the controller without storing the leader epoch",
    source: "PARTITION-4",
    profile,
    patches: [
      {
        file: REPLICA,
        find: "    this.#store(id, leadership, decision.state, decision.epochBegins);\n    return undefined;\n",
        replace:
          "    if (this.#state.leadership === undefined) this.#store(id, leadership, decision.state, decision.epochBegins);\n    else {\n      this.#state = decision.state;\n      return { ok: true, ...boundsOf(this.#state) };\n    }\n    return undefined;\n",
      },
    ],
  },
  {
    name: "offset-reused-after-crash",
    what: "after a crash the log ends after the first record of its last row",
    source: "PARTITION-5",
    profile,
    patches: [
      {
        file: LOG,
        find: "end = Math.max(end, columns.last + 1);",
        replace: "end = Math.max(end, columns.base + 1);",
      },
      {
        file: LOG,
        find: "    if (entry !== undefined) end = Math.max(end, entry.lastOffset + 1);\n",
        replace: "    void entry;\n",
      },
    ],
  },
  {
    name: "leader-without-epoch",
    what: "the controller names another leader in the same leader epoch",
    source: "CONTROLLER-4",
    profile,
    patches: [
      {
        file: CONTROLLER,
        find: "leaderEpoch: (now?.leaderEpoch ?? -1) + 1,",
        replace: "leaderEpoch: now?.leaderEpoch ?? 0,",
      },
    ],
  },
  {
    name: "tail-skips-to-the-end",
    what: "a tail whose frame was full continues at the end of the log",
    source: "PARTITION-17",
    profile,
    patches: [
      {
        file: TAIL,
        find: "state: { ...state, next: answer.nextOffset, waiting: true }",
        replace: "state: { ...state, next: answer.highWatermark, waiting: true }",
      },
    ],
  },
  {
    name: "answers-exchanged",
    what: "appends of one commit are answered in the reverse order",
    source: "PARTITION-11",
    profile,
    patches: [
      {
        file: APPENDS,
        find: 'must(plan.results[i], "each append has a result")',
        replace: 'must(plan.results.at(-1 - i), "each append has a result")',
      },
    ],
  },
  {
    name: "log-end-before-write",
    what: "the log grows before its rows are written, also when the write fails",
    source: "PARTITION-12",
    profile,
    patches: [
      {
        file: REPLICA,
        find: '    else this.#persist({ type: "flush", commit }, commit.writes);\n',
        replace:
          '    else {\n      this.#state = { ...this.#state, logEndOffset: commit.plan.logEndOffset };\n      this.#persist({ type: "flush", commit }, commit.writes);\n    }\n',
      },
    ],
  },
  {
    name: "leadership-lost-on-the-way",
    what: "the controller counts a partition as informed though it was not reached",
    source: "BROKER-64",
    profile,
    patches: [
      {
        file: LOOP,
        find: "      if (answers[i] !== undefined) this.#announced.set(keyOf(leadership), contentOf(leadership));\n    return !answers.includes(undefined);\n",
        replace:
          "      this.#announced.set(keyOf(leadership), contentOf(leadership));\n    return answers.length >= 0;\n",
      },
    ],
  },
];
