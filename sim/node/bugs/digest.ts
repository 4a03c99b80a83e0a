/** Bugs of the digests by which members find out that their trees differ. */
import { DIGEST_CHECK, DIGESTS, SNAPSHOT_GATE, TREE_VERIFIER } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of digests. */
export const DIGEST_BUGS: readonly SeededBug[] = [
  {
    name: "digests-count-as-equal",
    what: "whatever a learner's digest is, it counts as equal to the leader's",
    source: "ZooKeeper, where a digest mismatch is logged",
    patches: [
      {
        file: DIGESTS,
        find: "  return equalDigest(known, digest) ?",
        replace: "  return equalDigest(known, known) ?",
      },
      {
        file: DIGEST_CHECK,
        find: "    if (equalDigest(leaders, ours))",
        replace: "    if (equalDigest(ours, ours))",
      },
    ],
  },
  {
    name: "snap-without-proof",
    what: "a learner that differs discards its tree for a leader's tree that no quorum has confirmed",
    source: "a fault of ours: a damaged row of one member replaced the right value everywhere",
    patches: [
      {
        file: SNAPSHOT_GATE,
        find: "return this.#verifier.provesAt(tree.differsAt);",
        replace: "return true;",
      },
    ],
  },
  {
    name: "refuted-leader-stays",
    what: "a leader from which a quorum differs may lead again before it has taken a SNAP",
    source: "a fault of ours: 54,431 epochs after one damaged row",
    rare: true,
    patches: [
      {
        file: TREE_VERIFIER,
        find: "      history.requireSnap();\n      this.#host.becomeLooking(\"a quorum's digest",
        replace: "      this.#host.becomeLooking(\"a quorum's digest",
      },
    ],
  },
];
