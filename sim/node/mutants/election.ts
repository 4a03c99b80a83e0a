/** Mutants of promises, epochs and discovery. */
import { DISCOVERY, EPOCHS, FOLLOWER, HISTORY, LEADER, LOOKING } from "../sources.ts";
import { type Mutant, mutant } from "./mutant.ts";

/** Mutants of elections and discovery. */
export const ELECTION_MUTANTS: readonly Mutant[] = [
  mutant(
    "ackepoch-without-boots",
    "ACKEPOCH does not tell which lives of its peers the follower has seen",
    "ZAB-115",
    FOLLOWER,
    "boots: host.links.packIncarnations(),",
    "boots: [],",
  ),
  mutant(
    "boots-noted-late",
    "a leader counts a learner before it has stored the learner's life",
    "ZAB-113",
    LEADER,
    "    step.persistDeferred();\n",
    "",
  ),
  mutant(
    "older-life-counts",
    "a promise of an earlier life counts after a later life was seen",
    "ZAB-115",
    LEADER,
    '    if (this.phase === "DISCOVERY") this.#discovery.withdraw(sid);\n',
    "",
  ),
  mutant(
    "epoch-of-leader-alone",
    "the new epoch is above the leader's own promise only",
    "ZAB-50",
    DISCOVERY,
    "Math.max(epochs.highestKnown, ...voters.map((l) => l.acceptedEpoch))",
    "epochs.highestKnown",
  ),
  mutant(
    "discovery-by-zxid",
    "discovery compares zxids only, not currentEpoch",
    "ZAB-52",
    DISCOVERY,
    "message.currentEpoch - epochs.currentEpoch || ",
    "",
  ),
  mutant(
    "needsnap-vouches",
    "a member that cannot build on its history counts for a leader with a shorter history",
    "ZAB-54",
    LEADER,
    `      if (!message.needSnap) this.#host.becomeLooking("a learner has a newer history");\n`,
    `      if (!message.needSnap) {\n        this.#host.becomeLooking("a learner has a newer history");\n        return;\n      }\n      if (message.needSnap === false)\n`,
  ),
  mutant(
    "one-witness",
    "a member without memory follows a leader after one answer, not after those of a majority",
    "ZAB-111",
    LOOKING,
    "!self.quorum.contains(epochs.recordedBy)",
    "epochs.recordedBy.size === 0",
  ),
  mutant(
    "witness-raises-nothing",
    "a member without memory does not take over what its witnesses have promised",
    "ZAB-111",
    EPOCHS,
    "    if (acceptedEpoch <= this.#acceptedEpoch) return;\n",
    "    if (acceptedEpoch >= 0) return;\n",
  ),
  mutant(
    "needsnap-not-kept",
    "a crash loses the fact that a history is unusable",
    "ZAB-46",
    HISTORY,
    '    this.#step.persist([{ type: "needSnap" }]);\n',
    "",
  ),
];
