/**
 * Mutants: small faults of the core and of the shell's plain parts, made by hand, that measure the simulator. Each breaks a documented rule. A random run must
 * find it: `npm run mutants -- --seeds 30` prints which seed and which rule killed it, or that it survived.
 *
 * The seeded bugs of `bugs.ts` must be found in CI. A mutant need not; docs/testing.md lists the survivors and why they survive.
 */
import { BUGS, type Patch } from "./bugs.ts";

export interface Mutant {
  readonly name: string;
  /** the fault, in one line */
  readonly what: string;
  /** the rule of docs/spec that it breaks, or its source */
  readonly breaks: string;
  readonly patches: readonly Patch[];
}

const CALLS = "durable-objects/shared/call-order.ts";
const CONTEXT = "core/zab/context.ts";
const FOLLOWER = "core/zab/follower.ts";
const GUARD = "durable-objects/shared/guarded.ts";
const LEADER = "core/zab/leader.ts";
const LOG = "core/zab/txn-log.ts";
const OVERLAY = "core/znode/overlay.ts";
const PAGES = "core/znode/children-page.ts";
const PEER = "core/zab/peer.ts";
const PREP = "core/znode/prep.ts";
const QUIET = "core/server/quiet.ts";
const RESULTS = "core/server/recent-results.ts";
const SERVER = "core/server/server.ts";
const TREE = "core/znode/tree.ts";
const WATCH = "core/znode/watch.ts";

/** A mutant of one patch. */
function mutant(
  name: string,
  what: string,
  breaks: string,
  file: string,
  find: string,
  replace: string,
): Mutant {
  return { name, what, breaks, patches: [{ file, find, replace }] };
}

/** Mutants that became seeded bugs, since the simulator finds them quickly. */
const GRADUATES = [
  "promise-to-another",
  "ready-at-committed",
  "snap-rows-kept",
  "at-least-unchecked",
  "child-watch-lost-at-delete",
  "log-cut-below-slowest",
  "alarm-never-earlier",
  "overdue-alarm-trusted",
  "clock-back-believed",
];

export const MUTANTS: readonly Mutant[] = [
  ...BUGS.filter(({ name }) => GRADUATES.includes(name)).map(({ name, what, source, patches }) => ({
    name,
    what,
    breaks: source,
    patches,
  })),

  // ── promises, epochs, discovery ──────────────────────────────────────────
  mutant(
    "ackepoch-without-boots",
    "ACKEPOCH does not tell which lives of its peers the follower has seen",
    "ZAB-115",
    FOLLOWER,
    "boots: [...context.boots],",
    "boots: [],",
  ),
  mutant(
    "boots-noted-late",
    "a leader counts a learner before it has noted the learner's life",
    "ZAB-113",
    LEADER,
    "    context.noteBoots();\n",
    "",
  ),
  mutant(
    "older-life-counts",
    "a promise of an earlier life counts after a later life was seen",
    "ZAB-115",
    LEADER,
    '    if (this.phase === "DISCOVERY") this.#epochAcks.delete(sid);\n',
    "",
  ),
  mutant(
    "epoch-of-leader-alone",
    "the new epoch is above the leader's own promise only",
    "ZAB-50",
    LEADER,
    "      ...voters.map((l) => l.acceptedEpoch),\n",
    "",
  ),
  mutant(
    "discovery-by-zxid",
    "discovery compares zxids only, not currentEpoch",
    "ZAB-52",
    LEADER,
    "        message.currentEpoch - context.currentEpoch ||\n",
    "",
  ),
  mutant(
    "needsnap-vouches",
    "a member that cannot build on its history vouches for a leader that has less",
    "ZAB-54",
    LEADER,
    "      if (better > 0) return;\n",
    "",
  ),
  mutant(
    "one-witness",
    "a member without memory follows a leader after one answer, not after those of a majority",
    "ZAB-111",
    PEER,
    "!quorum.contains(witnesses)",
    "witnesses.size === 0",
  ),
  mutant(
    "witness-raises-nothing",
    "a member without memory does not take over what its witnesses have promised",
    "ZAB-111",
    CONTEXT,
    "    if (acceptedEpoch <= this.acceptedEpoch) return;\n",
    "    if (acceptedEpoch >= 0) return;\n",
  ),
  mutant(
    "needsnap-not-kept",
    "that a history is of no use is forgotten in a crash",
    "ZAB-46",
    CONTEXT,
    '    this.persist([{ type: "needSnap" }]);\n',
    "",
  ),

  // ── links ────────────────────────────────────────────────────────────────
  mutant(
    "call-taken-twice",
    "a call that comes a second time is taken a second time",
    "ZAB-86",
    PEER,
    "    if (origin.seq < link.inSeq) return false;\n",
    "",
  ),
  mutant(
    "gap-unnoticed",
    "a gap in the calls of a link goes unnoticed",
    "ZAB-86",
    PEER,
    "    if (origin.seq > link.inSeq) this.#inboundReset(origin.from);\n",
    "",
  ),
  mutant(
    "leader-without-quorum",
    "a leader that has lost its quorum leads on",
    "ZAB-79",
    LEADER,
    "if (!quorum.contains(this.activeSet) && now - this.#quorumAt > silence) {",
    "if (!quorum.contains(this.activeSet) && now < 0) {",
  ),

  // ── the log and its synchronization ──────────────────────────────────────
  mutant(
    "commit-noted-too-far",
    "a log row notes itself as committed when it is written",
    "ZAB-17",
    CONTEXT,
    "committed: minZxid(this.lastCommittedZxid, entry.last),",
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
    SERVER,
    "    else this.#absorb(this.#zab.diverged(this.#clock.now, zxid));\n",
    "    else if (this.#clock.now < 0) this.#absorb(this.#zab.diverged(this.#clock.now, zxid));\n",
  ),

  // ── requests ─────────────────────────────────────────────────────────────
  mutant(
    "snap-forgets-writes",
    "writes that wait are not settled when a SNAP replaces the tree",
    "SERVER-3",
    SERVER,
    "      if (!write.sent && known === undefined) continue;\n",
    "      if (write.xid !== Number.MAX_VALUE) continue;\n",
  ),
  mutant(
    "dropped-learner-writes",
    "a leader keeps the queued writes of a learner that has left, which sends them again",
    "SERVER-4",
    SERVER,
    "          this.#queue = this.#queue.filter((write) => write.origin !== effect.sid);\n",
    "",
  ),
  mutant(
    "outbox-over-roles",
    "writes gathered for one leader are sent to the next one as well",
    "SERVER-3",
    SERVER,
    "    this.#outbox = [];\n    this.#owners.clear();\n",
    "    this.#owners.clear();\n",
  ),
  mutant(
    "prep-over-epochs",
    "a leader prepares on top of what an earlier epoch left outstanding",
    "ZNODE: outstanding changes",
    SERVER,
    "    this.#recent = 0;\n    this.#prep.reset();\n",
    "    this.#recent = 0;\n",
  ),
  mutant(
    "late-write-of-moved-session",
    "a write of a connection that its session has left is carried out",
    "SERVER-33",
    SERVER,
    "return owner !== undefined && owner !== connection;",
    "return owner !== undefined && owner === NO_CONNECTION;",
  ),
  mutant(
    "moved-session-stays-connected",
    "a connection that its session has left stays open",
    "SERVER-33",
    SERVER,
    'if (token !== undefined && this.connectionOf(token) !== xid) this.#disconnect(token, "SESSION_MOVED");',
    'if (token === NO_TOKEN) this.#disconnect(token, "SESSION_MOVED");',
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
    SERVER,
    '      if (head.type !== "answered" && !this.#wasReady) return;\n',
    "",
  ),
  mutant(
    "former-life-answers",
    "a write that has not left its member is answered by a txn of an earlier life under the same name",
    "SERVER-35",
    SERVER,
    "head.xid === xid && (head.sent || xid > 0)",
    "head.xid === xid",
  ),

  // ── time, sessions, sleep ────────────────────────────────────────────────
  mutant(
    "touch-lost-with-stay",
    "signs of life that were on their way when a stay ended are lost",
    "SERVER-39",
    SERVER,
    "if (at >= since) this.#touched.add(session);",
    "if (at > this.#clock.now) this.#touched.add(session);",
  ),
  mutant(
    "deposed-leader-forgets-touches",
    "signs of life that a leader heard shortly before it was deposed are lost",
    "SERVER-39",
    SERVER,
    "slept ? [] : this.#expiry.heardSince",
    "slept || !this.#ready || this.#ready ? [] : this.#expiry.heardSince",
  ),
  mutant(
    "touches-lost-with-learner",
    "sessions that a lost learner reported last are given no time for what it could not report",
    "SERVER-41",
    SERVER,
    "          this.#expiry.learnerLeft(effect.sid, this.#clock.now);\n",
    "",
  ),
  mutant(
    "excused-for-ever",
    "a dead session gets its full timeout at every look that comes late",
    "SERVER-40",
    "core/znode/session.ts",
    "excused ? atMs",
    "atMs < 0 ? atMs",
  ),
  mutant(
    "missed-alarms-excuse-for-ever",
    "a dead session gets its full timeout at every wake that comes late",
    "QUIET-18",
    QUIET,
    "isMissed && !known.has(id)",
    "isMissed",
  ),
  mutant(
    "no-full-timeout-on-lead",
    "a new leader watches over no session that it did not open itself",
    "SERVER-10",
    QUIET,
    "    expiry.restart(sessions.values(), now);\n",
    "    if (this.#record !== null) expiry.restart(sessions.values(), now);\n",
  ),
  mutant(
    "old-sleep-record",
    "a leader believes the deadlines of a sleep that is not the last one",
    "QUIET-7",
    QUIET,
    "record.epoch === continues && inTime",
    "inTime",
  ),
  mutant(
    "sleep-record-after-failure",
    "a leader believes noted deadlines though a quorum was missing",
    "QUIET-7",
    QUIET,
    "record.epoch === continues && inTime",
    "record.epoch === continues",
  ),
  mutant(
    "no-grace-on-waking",
    "a session expires on waking before the sign of life that woke the ensemble arrives",
    "QUIET-5",
    QUIET,
    "Math.max(deadline, earliest)",
    "deadline",
  ),
  mutant(
    "sleep-forgets-touches",
    "signs of life that a learner had not passed on are lost when the ensemble falls asleep",
    "QUIET-4",
    QUIET,
    "    const touched = ok ? this.#host.takeTouched() : [];\n",
    "    const touched: SessionId[] = ok ? this.#host.takeTouched().slice(0, 0) : [];\n",
  ),
  mutant(
    "sleeps-through-calls",
    "a member that sleeps does not wake when a peer calls",
    "QUIET-3",
    QUIET,
    "return messages.some(({ type }) => HARMLESS[type]?.includes(moment) !== true);",
    'return moment !== "asleep" && messages.some(({ type }) => HARMLESS[type]?.includes(moment) !== true);',
  ),
  mutant(
    "owners-sleep-on",
    "an owner that fell asleep with the ensemble is not woken with it",
    "QUIET-6",
    QUIET,
    '      if (this.#host.sessions.has(parked.session)) this.#host.emit({ type: "wakeOwner", parked });\n',
    '      if (!this.#host.sessions.has(parked.session)) this.#host.emit({ type: "wakeOwner", parked });\n',
  ),

  // ── the node's shell ─────────────────────────────────────────────────────
  mutant(
    "calls-not-in-order",
    "a call that overtook the one before it is handled at once",
    "NODE-12",
    CALLS,
    "return boot !== this.#boot || generation !== this.#generation || seq <= this.#next;",
    "return seq >= 0;",
  ),
  mutant(
    "error-ends-no-life",
    "a broken invariant, or a write that storage refuses, does not end the life",
    "NODE-26",
    GUARD,
    "    endLife(error);\n",
    "",
  ),

  // ── znodes ───────────────────────────────────────────────────────────────
  mutant(
    "rollback-leaves-marks",
    "a multi that is taken back leaves the changes before it marked as superseded",
    "ZNODE: a multi is all or nothing",
    OVERLAY,
    "        change.before.superseded = false;\n",
    "",
  ),
  mutant(
    "multi-leaves-changes",
    "a multi that fails leaves its first changes in the overlay",
    "ZNODE: a multi is all or nothing",
    PREP,
    "        this.#overlay.rollback(mark);\n",
    "        this.#overlay.rollback(Math.max(mark, this.#overlay.mark()));\n",
  ),
  mutant(
    "close-forgets-outstanding",
    "the end of a session is prepared without the ephemerals whose creation is outstanding",
    "ZNODE: ephemerals",
    PREP,
    "const paths = new Set(this.#overlay.ownedBy(id));",
    "const paths = new Set<string>();",
  ),
  mutant(
    "writes-after-close",
    "writes of a session whose end is outstanding are prepared",
    "ZNODE: sessions",
    PREP,
    "{ lastXid: this.lastXidOf(id), closing: true, zxid: header.zxid }",
    "{ lastXid: this.lastXidOf(id), closing: false, zxid: header.zxid }",
  ),
  mutant(
    "sequence-used-twice",
    "two sequential creations that are outstanding at once get one number",
    "ZNODE: sequential",
    PREP,
    "this.#putChildren(header.zxid, parent, parentCversion, 1);",
    "this.#putChildren(header.zxid, parent, parent.cversion, 1);",
  ),
  mutant(
    "pzxid-kept-at-delete",
    "the deletion of a child does not move its parent's pzxid",
    "ZNODE: Stat",
    TREE,
    "    this.#childrenChanged(parent, header.zxid, parent.cversion);\n",
    "    this.#childrenChanged(parent, parent.pzxid, parent.cversion);\n",
  ),
  mutant(
    "list-too-large",
    "a list of names is answered whole, however large it is",
    "HTTP-47",
    PAGES,
    "    if (bytes > bytesMax) return true;\n",
    "",
  ),
  mutant(
    "page-too-large",
    "a page is one name larger than what its reader allows",
    "HTTP-47",
    PAGES,
    "if (bytes > bytesMax && end > start) break;",
    "if (bytes > bytesMax + 8 && end > start) break;",
  ),
  mutant(
    "checkpoint-keeps-deleted",
    "a checkpoint keeps znodes that were deleted",
    "ZAB-12",
    TREE,
    "      if (node === null) deleted.push(path);\n",
    "      if (node === null) continue;\n",
  ),

  // ── watches ──────────────────────────────────────────────────────────────
  mutant(
    "set-watches-overtakes",
    "setWatches is answered before what its session asked earlier",
    "SERVER-8",
    SERVER,
    '    const request = { type: "setWatches", seen } as const;\n    if (this.#pending.has(session)) {',
    '    const request = { type: "setWatches", seen } as const;\n    if (this.#pending.has(session) && xid === 0.5) {',
  ),
  mutant(
    "missed-creation",
    "a client that reconnects is not told of a creation that it missed",
    "ZNODE: watches",
    WATCH,
    "tree.get(path) === undefined ? undefined : WatchEventType.CREATED",
    "undefined",
  ),
];
