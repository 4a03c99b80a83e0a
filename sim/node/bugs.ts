/**
 * Faults that the checkers have to find: each a small change of the core's source, put in while it is loaded (`patch-core.ts`).
 * Most were bugs of ZooKeeper. `npm run seeded-bugs` looks whether each is found again by the seed that is written down here,
 * and `npm run seeded-bugs -- --record` finds seeds anew when the simulator has changed.
 */

import type { SearchOptions } from "./search/search.ts";

/** A text of a file of the core, which must be there once, and what stands in its place. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface SeededBug {
  readonly name: string;
  /** what is wrong, in one line */
  readonly what: string;
  /** where it was once, or what thought of it */
  readonly source: string;
  readonly patches: readonly Patch[];
  /** what it needs is too rare in the simulator: the search finds it, within this scope */
  readonly search?: Partial<SearchOptions>;
  /** found by its seed and within {@link SEEDS_MAX} others, but not within 30 */
  readonly rare?: boolean;
}

const FOLLOWER = "core/zab/follower.ts";
const LEADER = "core/zab/leader.ts";
const CONTEXT = "core/zab/context.ts";
const STORAGE = "core/server/storage.ts";
const SERVER = "core/server/server.ts";
const REPLIES = "core/server/reply-cache.ts";
const CLOCK = "core/server/member-clock.ts";
const STREAM = "core/znode/watch-stream.ts";
const ALARM = "durable-objects/shared/deadline-alarm.ts";

/** a place for writes that are put off */
const LATE: Patch = {
  file: FOLLOWER,
  find: "  #staging: Staging | null = null;\n",
  replace: "  #staging: Staging | null = null;\n  readonly #late: DurableWrite[] = [];\n",
};

export const BUGS: readonly SeededBug[] = [
  {
    name: "newleader-acked-before-log",
    what: "NEWLEADER is acked while the history it confirms is in memory only, until UPTODATE",
    source: "ZOOKEEPER-4646, 3023",
    patches: [
      {
        file: FOLLOWER,
        find: "for (const entry of staging.entries) writes.push(context.extend(entry));",
        replace: "for (const entry of staging.entries) this.#late.push(context.extend(entry));",
      },
      LATE,
      {
        file: FOLLOWER,
        find: "    context.persist([context.extend(entry)]);",
        replace: "    context.persist([...this.#late.splice(0), context.extend(entry)]);",
      },
      {
        file: FOLLOWER,
        find: '    this.phase = "BROADCAST";\n',
        replace:
          '    this.phase = "BROADCAST";\n    if (this.#late.length > 0) context.persist(this.#late.splice(0));\n',
      },
    ],
  },
  {
    name: "epoch-before-history",
    what: "currentEpoch is written before the history that it stands for, not together with it",
    source: "ZOOKEEPER-4643, 3911; Remix (EuroSys 2025)",
    search: { crashes: 0, elections: 2, txns: 1 },
    patches: [
      {
        file: FOLLOWER,
        find: "    const writes: DurableWrite[] = [];\n",
        replace:
          '    const writes: DurableWrite[] = [];\n    context.persist([{ type: "currentEpoch", epoch: message.epoch }]);\n',
      },
    ],
  },
  {
    name: "promise-not-written",
    what: "a follower promises an epoch without writing it down",
    source: "Zab, DSN 2011, phase 1; ZOOKEEPER-335",
    rare: true,
    patches: [
      {
        file: FOLLOWER,
        find: '      context.persist([{ type: "acceptedEpoch", epoch: message.epoch, to: this.leader }]);\n',
        replace: "",
      },
      // The rule that a log ends within the epochs on disk would stop it at once: that check is off too.
      {
        file: FOLLOWER,
        find: '    writes.push({ type: "currentEpoch", epoch: message.epoch });',
        replace:
          '    writes.push({ type: "acceptedEpoch", epoch: message.epoch, to: this.leader }, { type: "currentEpoch", epoch: message.epoch });',
      },
    ],
  },
  {
    name: "trunc-not-written",
    what: "a TRUNC is done in memory and not on disk: what was never committed comes back",
    source: "ZOOKEEPER-3701, 1154",
    rare: true,
    patches: [
      {
        file: FOLLOWER,
        find: '      writes.push({ type: "truncate", to: staging.truncateTo.zxid });\n',
        replace: "",
      },
    ],
  },
  {
    name: "trunc-missing",
    what: "a learner that has something else gets DIFF from the nearest entry, and keeps its own",
    source: "ZOOKEEPER-1154, 2832",
    patches: [
      {
        file: "core/zab/synchronization.ts",
        find: 'return { mode: "TRUNC", to: ours.zxid };',
        replace: 'return { mode: "DIFF", from: ours };',
      },
      {
        file: FOLLOWER,
        find: "return this.#staging !== null && equalZxid(this.#staging.tail.zxid, message.from);",
        replace: "return this.#staging !== null;",
      },
      { file: FOLLOWER, find: "if (!samePosition(tail, message.prev)) return undefined;\n", replace: "" },
      {
        file: FOLLOWER,
        find: "|| !equalZxid(staging.tail.zxid, message.last)) return false;",
        replace: ") return false;",
      },
    ],
  },
  {
    name: "uncommitted-applied",
    what: "a follower applies a proposal when it comes, not when it is committed",
    source: "ZOOKEEPER-1549; uncommitted proposals served",
    rare: true,
    patches: [
      {
        file: FOLLOWER,
        find: "      context.commitUpTo(message.commit);\n    }\n    return true;",
        replace: "      context.commitUpTo(message.last);\n    }\n    return true;",
      },
    ],
  },
  {
    name: "recovery-applies-tail",
    what: "a member that starts applies its whole log, and not only what it knows to be committed",
    source: "ZOOKEEPER-1549, 3644",
    patches: [
      { file: STORAGE, find: "maxZxid(this.log.committed, checkpoint.zxid)", replace: "this.log.last.zxid" },
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
        find: "    context.persist([context.extend(entry)]);\n",
        replace: "    this.#late.push(context.extend(entry));\n",
      },
      {
        file: FOLLOWER,
        find: "    context.commitUpTo(message.zxid);\n",
        replace:
          "    if (this.#late.length > 0) context.persist(this.#late.splice(0));\n    context.commitUpTo(message.zxid);\n",
      },
    ],
  },
  {
    name: "applied-before-write",
    what: "a member applies what is committed elsewhere and not yet on its own disk",
    source: "ZOOKEEPER-4882",
    patches: [
      {
        file: CONTEXT,
        find: "const upTo = minZxid(this.lastCommittedZxid, this.lastDurableZxid);",
        replace: "const upTo = this.lastCommittedZxid;",
      },
    ],
  },
  {
    name: "commit-without-quorum",
    what: "one ack less than a quorum commits an entry",
    source: "Zab, DSN 2011, phase 3",
    patches: [
      {
        file: "core/zab/quorum-verifier.ts",
        find: "sorted[this.majority - 1]",
        replace: "sorted[Math.max(0, this.majority - 2)]",
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
        find: '    if (this.phase !== "BROADCAST" || compareZxid(message.zxid, context.lastLogged.zxid) > 0) return false;',
        replace: '    if (this.phase !== "BROADCAST") return false;',
      },
      {
        file: LEADER,
        find: "      if (compareZxid(learner.sent, context.lastCommittedZxid) < 0) continue;\n",
        replace: "",
      },
    ],
  },
  {
    name: "leader-goes-on",
    what: "a leader that lost its memory goes on in the epoch that it led",
    source: "reliability, rule 5",
    patches: [
      {
        file: LEADER,
        find: "    this.epoch = asEpoch(highest + 1);\n",
        replace:
          "    const again = highest === context.currentEpoch && highest === context.lastLogged.zxid.epoch;\n    this.epoch = asEpoch(again ? highest : highest + 1);\n    if (again) this.#counter = context.lastLogged.zxid.counter;\n",
      },
      { file: FOLLOWER, find: "counted: context.promisedTo === this.leader,", replace: "counted: true," },
    ],
  },
  {
    name: "older-history-leads",
    what: "the highest sid is elected whatever its history is, and leads although a follower's is newer",
    source: "ZOOKEEPER-1154; Zab, DSN 2011, phase 1",
    patches: [
      {
        file: "core/zab/election.ts",
        find: "return a.epoch - b.epoch || compareZxid(a.zxid, b.zxid) || a.leader - b.leader;",
        replace: "return a.leader - b.leader || a.epoch - b.epoch || compareZxid(a.zxid, b.zxid);",
      },
      {
        file: LEADER,
        find: '    if (this.phase === "DISCOVERY") {\n      const better',
        replace: "    if (false as boolean) {\n      const better",
      },
    ],
  },
  {
    name: "snap-over-old-tree",
    what: "a SNAP is received over the tree that it is to replace: an interrupted one leaves neither",
    source: "ZOOKEEPER-2872, 3642",
    rare: true,
    patches: [
      {
        file: STORAGE,
        find: '      case "snapshotBegin":\n        this.#backend.clearTable(this.#otherTable());',
        replace:
          '      case "snapshotBegin":\n        this.#backend.clearTable(this.#meta.table);\n        this.#backend.clearTable(this.#otherTable());',
      },
    ],
  },
  {
    name: "empty-voter",
    what: "a member that lost its storage votes as if it had never promised anything",
    source: "ZOOKEEPER-261; amnesia",
    patches: [
      {
        file: CONTEXT,
        find: "this.initialized = recovered.initialized;",
        replace: "this.initialized = true;",
      },
    ],
  },
  {
    name: "dedupe-off",
    what: "a write that is sent again is done again",
    source: "reliability, T20",
    patches: [
      {
        file: SERVER,
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
    name: "deposed-leader-reads",
    what: "a linearizable read is answered from the tree at hand, without a quorum",
    source: "ZooKeeper's sync; etcd #20418",
    patches: [{ file: SERVER, find: "if (input.linearizable || compareZxid", replace: "if (compareZxid" }],
  },
  {
    name: "watch-lost-on-reconnect",
    what: "a client that reconnects is not told of the events that it missed",
    source: "ZooKeeper setWatches; reliability, T20",
    patches: [
      { file: "core/znode/watch.ts", find: "      else missed.push({ type, path });\n", replace: "" },
    ],
  },
  {
    name: "session-expires-early",
    what: "hearing of a session does not move its deadline",
    source: "reliability, T15",
    patches: [
      {
        file: "core/znode/session.ts",
        find: "    if (atMs <= deadline.atMs) return;\n",
        replace: "    if (atMs >= 0) return;\n",
      },
    ],
  },
  {
    name: "alarm-counts-as-time",
    what: "an alarm that comes early, late or twice is believed: sessions expire by the count of alarms",
    source: "reliability, T20: double alarm",
    patches: [
      {
        file: SERVER,
        find: "this.#expiry.expire(this.#clock.now)",
        replace: "this.#expiry.expire(this.#clock.now + 20 * this.config.tickTimeMs)",
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
    what: "two writes under one number at two members are both given the result of the one that happened",
    source: "the same, while the first one is under way",
    patches: [
      {
        file: SERVER,
        find: "          if (isAnother) {",
        replace: "          if (xid < 0 && isAnother) {",
      },
    ],
  },
  {
    name: "fingerprint-not-compared",
    what: "another write after a refused one is given the refusal, though the member knows both requests",
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
    name: "overdue-alarm-trusted",
    what: "an alarm that is long overdue is believed to be set: a lost alarm is never set again",
    source: "use, on the real runtime: the scheduler had lost its list",
    rare: true,
    patches: [
      {
        file: ALARM,
        find: "return this.#armedAt === undefined || now - this.#armedAt > this.#tickMs;",
        replace: "return this.#armedAt === undefined;",
      },
    ],
  },
  {
    name: "alarm-never-earlier",
    what: "an alarm that is set stays where it is when a deadline moves before it",
    source: "a mutant of the shell that every lane let pass",
    patches: [
      {
        file: ALARM,
        find: "if (this.#armedAt !== undefined && this.#armedAt <= at && ",
        replace: "if (this.#armedAt !== undefined && ",
      },
    ],
  },
  {
    name: "clock-jump-is-silence",
    what: "a leader whose clock was set forward expires sessions that keep their pings",
    source: "use: a clock skewed by fault on one node",
    patches: [
      {
        file: SERVER,
        find: "    if (passedMs > 2 * this.config.tickTimeMs) this.#expiry.excuseAll(now, passedMs);\n",
        replace: "",
      },
    ],
  },
  {
    name: "small-jump-is-silence",
    what: "only a clock that was set forward by minutes is noticed: one that was set by seconds is silence",
    source: "the same; a session of 10 s expires after 1.6 s",
    patches: [
      {
        file: SERVER,
        find: "if (passedMs > 2 * this.config.tickTimeMs)",
        replace: "if (passedMs > 60 * this.config.tickTimeMs)",
      },
    ],
  },
  {
    name: "clock-back-believed",
    what: "a clock that was put back is believed: whatever waits for a time waits for that much longer",
    source: "a mutant of the core that every lane let pass",
    rare: true,
    patches: [
      {
        file: CLOCK,
        find: "    if (clockMs + this.#aheadMs < this.#now) this.#aheadMs = this.#now - clockMs;\n",
        replace: "",
      },
    ],
  },
  {
    name: "ephemerals-outlive-session",
    what: "a session that ends leaves its ephemerals behind",
    source: "ZOOKEEPER-2355, 4837",
    patches: [
      {
        file: "core/znode/tree.ts",
        find: "    for (const path of [...session.ephemerals].sort()) this.#delete(header, path);\n",
        replace: "",
      },
    ],
  },
  {
    name: "digests-count-as-equal",
    what: "whatever a learner's digest is, it counts as equal to the leader's",
    source: "ZooKeeper, where a digest mismatch is logged",
    patches: [
      {
        file: "core/zab/digests.ts",
        find: "  return equalDigest(known, digest) ?",
        replace: "  return equalDigest(known, known) ?",
      },
      {
        file: SERVER,
        find: "    if (equalDigest(leaders, ours))",
        replace: "    if (equalDigest(ours, ours))",
      },
    ],
  },
  {
    name: "snap-without-proof",
    what: "a learner that differs gives its tree up for a leader's that no quorum has confirmed",
    source: "a fault of ours: a damaged row of one member replaced the right value everywhere",
    patches: [
      {
        file: LEADER,
        find: "return this.#agreement.proves(learner.differsAt);",
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
        file: LEADER,
        find: "      context.spurn();\n      this.#host.becomeLooking(\"a quorum's digest",
        replace: "      this.#host.becomeLooking(\"a quorum's digest",
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
        find: "counted: context.promisedTo === this.leader,",
        replace: "counted: true,",
      },
    ],
  },
  {
    name: "ready-at-committed",
    what: "a member serves before it has applied the whole history of its stay, and sends again what is in it",
    source: "SERVER-4; ZooKeeper's Learner after UPTODATE",
    patches: [
      {
        file: SERVER,
        find: "this.#barrier ??= this.#zab.lastLogged.zxid;",
        replace: "this.#barrier ??= this.#zab.lastCommittedZxid;",
      },
    ],
  },
  {
    name: "snap-rows-kept",
    what: "rows of an interrupted SNAP are kept under the next one",
    source: "ZAB-63; ZOOKEEPER-2872",
    patches: [
      {
        file: STORAGE,
        find: '      case "snapshotBegin":\n        this.#backend.clearTable(this.#otherTable());\n',
        replace: '      case "snapshotBegin":\n',
      },
    ],
  },
  {
    name: "at-least-unchecked",
    what: "a read is answered from a tree that is behind what its client has seen",
    source: "SERVER-31; ZooKeeper's lastZxidSeen",
    patches: [
      {
        file: SERVER,
        find: "if (input.linearizable || compareZxid(atLeast, this.#tree.lastApplied) > 0) {",
        replace: "if (input.linearizable) {",
      },
    ],
  },
  {
    name: "child-watch-lost-at-delete",
    what: "the deletion of a znode is not told to those who watch its children",
    source: "ZooKeeper WatchManager, DataTree.deleteNode",
    patches: [
      {
        file: "core/znode/watch.ts",
        find: "    if (event.type !== WatchEventType.DELETED) return;\n",
        replace: "    if (event.type >= WatchEventType.CREATED) return;\n",
      },
    ],
  },
  {
    name: "log-cut-below-slowest",
    what: "the log is cut though a learner in the active set needs it, which then takes a SNAP",
    source: "ZAB-14",
    patches: [
      {
        file: "core/zab/txn-log.ts",
        find: " || compareZxid(row.last, slowest) > 0;",
        replace: ";",
      },
    ],
  },
  {
    name: "stream-tells-first-change",
    what: "of the changes that a stream has to tell at once, only the first is told",
    source: "use: the reader of a lock believed NodeDeleted while the znode existed",
    rare: true,
    patches: [
      {
        file: STREAM,
        find: "    const pending = this.#pending;\n",
        replace: "    const pending = this.#pending;\n    if (pending.length > 0) return;\n",
      },
    ],
  },
  {
    name: "stream-resumes-at-present",
    what: "a stream that is resumed begins with the state as it is, whatever the reader knows",
    source: "changes between the end of one connection and the begin of the next",
    patches: [
      {
        file: STREAM,
        find: "this.#pending = seen === undefined ? [] : missedSince(tree, path, kind, seen);",
        replace: "this.#pending = seen === undefined ? [] : missedSince(tree, path, kind, seen).slice(1);",
      },
    ],
  },
  {
    name: "stream-forgets-gone",
    what: "a stream that is resumed ignores that its reader knows of the znode's deletion",
    source: "ids that were zxids alone",
    patches: [
      {
        file: STREAM,
        find: "    return seen.gone ? [] : [{ type: WatchEventType.DELETED, zxid: tree.lastApplied }];",
        replace: "    return [{ type: WatchEventType.DELETED, zxid: tree.lastApplied }];",
      },
    ],
  },
  {
    name: "stream-ends-at-deletion",
    what: "the watch of a stream goes with its znode, as a standard watch does, and a later creation is not told",
    source: "ZooKeeper's standard watches",
    patches: [
      {
        file: "core/znode/watch.ts",
        find: "    for (const watcher of this.#dataStreams.of(event.path)) fired.push({ watcher, event });\n",
        replace:
          "    const streams = this.#dataStreams;\n    const gone = event.type === WatchEventType.DELETED;\n    for (const watcher of gone ? streams.take(event.path) : streams.of(event.path)) fired.push({ watcher, event });\n",
      },
    ],
  },
];
