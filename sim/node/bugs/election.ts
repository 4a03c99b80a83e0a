/** Bugs of election and discovery: who leads, in which epoch, and what a promise is worth. */
import { BROADCAST, DISCOVERY, ELECTION, EPOCHS, FOLLOWER, LEADER } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of elections and discovery. */
export const ELECTION_BUGS: readonly SeededBug[] = [
  {
    name: "epoch-before-history",
    what: "currentEpoch is written before the history that it stands for, not together with it",
    source: "ZOOKEEPER-4643, 3911; Remix (EuroSys 2025)",
    search: { crashes: 0, elections: 2, txns: 1 },
    patches: [
      {
        file: FOLLOWER,
        find: "    const writes = staging.adopt(host.history, host.tree);\n",
        replace:
          '    host.step.persist([{ type: "currentEpoch", epoch: message.epoch }]);\n    const writes = staging.adopt(host.history, host.tree);\n',
      },
    ],
  },
  {
    name: "promise-not-written",
    what: "a follower promises an epoch without storing the promise",
    source: "Zab, DSN 2011, phase 1; ZOOKEEPER-335",
    rare: true,
    patches: [
      {
        file: FOLLOWER,
        find: "host.epochs.promise(message.epoch, this.leader);",
        replace: "host.epochs.promiseInMemory(message.epoch, this.leader);",
      },
      {
        file: EPOCHS,
        find: "  #accept(epoch: Epoch, to: Sid | null): void {\n",
        replace:
          '  promiseInMemory(epoch: Epoch, to: Sid | null): void {\n    this.#acceptedEpoch = epoch;\n    this.#promisedTo = to;\n    this.#step.trace({ type: "epoch", epoch, kind: "accepted" });\n  }\n\n  #accept(epoch: Epoch, to: Sid | null): void {\n',
      },
      // The rule that a log ends within the epochs on disk would stop it at once: that check is off too.
      {
        file: FOLLOWER,
        find: "    writes.push(host.epochs.enter(message.epoch));",
        replace:
          '    writes.push({ type: "acceptedEpoch", epoch: message.epoch, to: this.leader }, host.epochs.enter(message.epoch));',
      },
    ],
  },
  {
    name: "promise-to-another",
    what: "a promise of an epoch counts for every candidate, not only for the one to whom it was given",
    source: "ZAB-53; Zab, DSN 2011, phase 1",
    rare: true,
    patches: [
      {
        file: FOLLOWER,
        find: "counted: host.epochs.promisedTo === this.leader,",
        replace: "counted: true,",
      },
    ],
  },
  {
    name: "leader-goes-on",
    what: "a leader that lost its memory continues in the epoch that it led",
    source: "reliability, rule 5",
    patches: [
      {
        file: DISCOVERY,
        find: "    this.#epoch = asEpoch(highest + 1);\n",
        replace:
          "    const last = this.#host.history.lastLogged.zxid;\n    const again = highest === epochs.currentEpoch && highest === last.epoch;\n    this.#epoch = asEpoch(again ? highest : highest + 1);\n",
      },
      {
        file: BROADCAST,
        find: "    this.#epoch = epoch;\n",
        replace:
          "    this.#epoch = epoch;\n    const last = this.#host.history.lastLogged.zxid;\n    if (last.epoch === epoch) this.#counter = last.counter;\n",
      },
      { file: FOLLOWER, find: "counted: host.epochs.promisedTo === this.leader,", replace: "counted: true," },
    ],
  },
  {
    name: "older-history-leads",
    what: "the highest sid is elected whatever its history is, and leads although a follower's is newer",
    source: "ZOOKEEPER-1154; Zab, DSN 2011, phase 1",
    patches: [
      {
        file: ELECTION,
        find: "return a.epoch - b.epoch || compareZxid(a.zxid, b.zxid) || a.leader - b.leader;",
        replace: "return a.leader - b.leader || a.epoch - b.epoch || compareZxid(a.zxid, b.zxid);",
      },
      {
        file: LEADER,
        find: 'if (this.phase === "DISCOVERY" && this.#discovery.hasNewerHistory(message)) {',
        replace: "if (false as boolean) {",
      },
    ],
  },
  {
    name: "empty-voter",
    what: "a member that lost its storage votes as if it had never promised anything",
    source: "ZOOKEEPER-261; amnesia",
    patches: [
      {
        file: EPOCHS,
        find: "this.#initialized = recovered.initialized;",
        replace: "this.#initialized = true;",
      },
    ],
  },
];
