/** Bugs of requests: writes that happen twice or under another number, reads that show too old a state. */
import { PROPOSALS, READ_PATH, READINESS, REPLIES, RESPONDER } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of requests. */
export const REQUEST_BUGS: readonly SeededBug[] = [
  {
    name: "dedupe-off",
    what: "a repeated write is applied again",
    source: "reliability, T20",
    patches: [
      {
        file: PROPOSALS,
        find: "return write.xid <= this.#prep.lastXidOf(write.session) && this.#prep.isOpen(write.session);",
        replace: "return false;",
      },
      {
        file: REPLIES,
        find: "    if (known === undefined || xid > known.lastXid) return undefined;\n",
        replace:
          "    if (known !== undefined) return undefined;\n    if (known === undefined || xid > known.lastXid) return undefined;\n",
      },
    ],
  },
  {
    name: "used-number-believed",
    what: "another write under a used number gets the first one's result, and never happens",
    source: "use: DELETE 204 under the number of a POST, and the znode is there",
    patches: [
      {
        file: REPLIES,
        find: "known?.ok === true && this.#isAnother(write, fingerprint, known as KnownResult);\n    return isAnother",
        replace: "false as boolean;\n    return isAnother",
      },
    ],
  },
  {
    name: "number-under-way-believed",
    what: "two writes under one number at two members both get the result of the one that happened",
    source: "the same, while the first one is under way",
    patches: [
      {
        file: RESPONDER,
        find: "      if (this.#replies.isOfAnother(write",
        replace: "      if (xid < 0 && this.#replies.isOfAnother(write",
      },
    ],
  },
  {
    name: "fingerprint-not-compared",
    what: "another write after a refused one gets the refusal, though the member knows both requests",
    source: "use: a POST under the number of a refused DELETE is answered NO_NODE and never happens",
    patches: [
      {
        file: REPLIES,
        find: "if (first !== NOT_KNOWN) return first !== fingerprint;\n    const record = this.#log.recordAt(known.zxid);\n    return isAnotherWrite(decodeRequest(write), known, record && decodeTxn(record), this.#tree);",
        replace:
          "if (first < NOT_KNOWN) return true;\n    return isAnotherWrite(decodeRequest(write), known, undefined, this.#tree);",
      },
    ],
  },
  {
    name: "deposed-leader-reads",
    what: "a linearizable read is answered from the tree at hand, without a quorum",
    source: "ZooKeeper's sync; etcd #20418",
    patches: [{ file: READ_PATH, find: "if (input.linearizable || compareZxid", replace: "if (compareZxid" }],
  },
  {
    name: "ready-at-committed",
    what: "a member serves before it has applied the whole history of its stay, and repeats writes that are in it",
    source: "SERVER-4; ZooKeeper's Learner after UPTODATE",
    patches: [
      {
        file: READINESS,
        find: "this.#barrier ??= zab.lastLogged.zxid;",
        replace: "this.#barrier ??= zab.lastCommittedZxid;",
      },
    ],
  },
  {
    name: "at-least-unchecked",
    what: "a read is answered from an older tree than its client has seen",
    source: "SERVER-31; ZooKeeper's lastZxidSeen",
    patches: [
      {
        file: READ_PATH,
        find: "if (input.linearizable || compareZxid(atLeast, this.#tree.lastApplied) > 0) {",
        replace: "if (input.linearizable) {",
      },
    ],
  },
];
