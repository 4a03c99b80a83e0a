/**
 * What must hold in every run, whatever fails. {@link Invariants.check} runs after every event of a {@link Cluster}; the other
 * methods are told what happens.
 *
 * | rule | in one line |
 * |---|---|
 * | INV-1 | at most one member, in one life, ever leads an epoch beyond discovery |
 * | INV-2 | committed histories are prefixes of one another, by zxid and chain; nothing committed is taken back |
 * | INV-3 | whoever begins to broadcast has everything that was ever committed |
 * | INV-4 | epoch(log end) ≤ currentEpoch ≤ acceptedEpoch, and no promise that left a member is forgotten in a crash |
 * | INV-5 | equal applied zxid, equal digest |
 * | INV-6 | what a client was told of is committed; each (session, xid) happens once and in the order of the xids |
 * | INV-7 | answers of one session leave a member in the order of its requests |
 * | INV-8 | a linearizable read shows every write that was answered before it was asked |
 * | INV-9 | nothing is applied that is not committed and durable here |
 *
 * @source ZooKeeper's TLA+ specifications (Leadership1/2, PrefixConsistency, Integrity, Agreement, TotalOrder, primary order)
 */
import { assert, must } from "../../core/assert.ts";
import { type Chain, chainHash, newLanes } from "../../core/hash/chain.ts";
import type { ServerAnswer } from "../../core/server/effects.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Token } from "../../core/server/pending.ts";
import { TxnCursor, TxnType } from "../../core/wire/txn-codec.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { LogPosition } from "../../core/zab/messages.ts";
import type { Sid } from "../../core/zab/quorum.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import { isAnonymous, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import type { Cluster, Life, Member } from "./cluster.ts";

/** One committed txn. */
interface Committed {
  readonly zxid: Zxid;
  readonly chain: Chain;
  readonly session: SessionId;
  readonly xid: number;
}

interface Asked {
  readonly sid: Sid;
  readonly life: number;
  readonly session: SessionId;
  /** linearizable: what the answer has to show */
  readonly mustSee: Zxid | null;
}

/** What a member has told others, which no crash may take back. */
interface Promised {
  acceptedEpoch: number;
  currentEpoch: number;
}

const keyOf = (zxid: Zxid): number => zxid.epoch * 2 ** 32 + zxid.counter;
const text = (zxid: Zxid): string => `${zxid.epoch}.${zxid.counter}`;

export class Invariants {
  readonly #cluster: Cluster;
  /** the history that some member has applied, from the first txn on */
  readonly history: Committed[] = [];
  /** *map zxid → index in the history* */
  readonly #index = new Map<number, number>();
  /** *map epoch → who led it*: "sid/life" */
  readonly #leaders = new Map<number, string>();
  /** *map sid → committed txns that this member's log or tree holds* */
  readonly #held = new Map<Sid, number>();
  /** *map life → committed txns applied in it* */
  readonly #applied = new WeakMap<Life, number>();
  readonly #durable = new WeakMap<Life, { number: number; last: Zxid }[]>();
  readonly #durableLast = new WeakMap<Life, Zxid>();
  readonly #promised = new Map<Sid, Promised>();
  /** *map zxid → digest of whoever applied it first* */
  readonly #digests = new Map<number, string>();
  readonly #asked = new Map<Token, Asked>();
  /** *map "sid/life/session" → last token answered* */
  readonly #answered = new Map<string, Token>();
  /** *map "session/xid" → its txn* */
  readonly #done = new Map<string, Zxid>();
  readonly #lastXid = new Map<SessionId, number>();
  readonly #tampered = new Set<Sid>();
  readonly #phases = new WeakMap<Life, string>();
  /** highest zxid that any client was told of */
  told: Zxid = ZXID_ZERO;
  /** checks made, by rule: a run that checked nothing proves nothing */
  readonly checks = new Map<string, number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** The tree of this member was changed behind its back: its digest proves nothing. */
  tolerate(sid: Sid): void {
    this.#tampered.add(sid);
  }

  #must(rule: string, holds: boolean, what: () => string): void {
    this.checks.set(rule, (this.checks.get(rule) ?? 0) + 1);
    if (holds) return;
    const { seed, now } = this.#cluster;
    assert(false, `[${rule}] ${what()} (seed ${seed}, at ${now}; ${this.#cluster.describe()})`);
  }

  // ── what happens ─────────────────────────────────────────────────────────

  started(member: Member): void {
    const life = must(member.life, "it has just started");
    const { meta, log } = life.storage;
    const promised = this.#promised.get(member.sid);
    if (promised !== undefined) {
      this.#must("INV-4", meta.acceptedEpoch >= promised.acceptedEpoch, () => `${member.sid} forgot epoch`);
      this.#must("INV-4", meta.currentEpoch >= promised.currentEpoch, () => `${member.sid} forgot its ack`);
    }
    this.#durable.set(life, []);
    this.#durableLast.set(life, log.last.zxid);
    const { lastApplied } = life.server.tree;
    const at = this.#countUpTo(lastApplied);
    this.#applied.set(life, at);
    this.#checkPosition(member, must(log.positionAt(lastApplied), "what is applied is in the log"));
    this.#must(
      "INV-2",
      this.#heldBy(life) >= (this.#held.get(member.sid) ?? 0),
      () => `${member.sid} lost committed txns in a crash`,
    );
  }

  /** Only what a member had durably is held against it. */
  crashed(member: Member): void {
    this.#tampered.delete(member.sid);
  }

  wiped(member: Member): void {
    this.#held.delete(member.sid);
    this.#promised.delete(member.sid);
  }

  persisting(member: Member, life: Life, writes: readonly DurableWrite[]): void {
    for (const write of writes) {
      if (write.type !== "truncate") continue;
      const kept = this.#countUpTo(write.to);
      this.#must(
        "INV-2",
        kept >= this.#heldBy(life),
        () => `${member.sid} cuts its log at ${text(write.to)}`,
      );
    }
  }

  persisted(member: Member, life: Life): void {
    const { log, meta } = life.storage;
    this.#durable.get(life)?.push({ number: member.disk.written, last: log.last.zxid });
    this.#must(
      "INV-4",
      log.last.zxid.epoch <= meta.currentEpoch && meta.currentEpoch <= meta.acceptedEpoch,
      () =>
        `${member.sid}: log ${text(log.last.zxid)} current ${meta.currentEpoch} accepted ${meta.acceptedEpoch}`,
    );
  }

  /** Writes of this life became durable. */
  synced(member: Member, life: Life): void {
    const waiting = this.#durable.get(life) ?? [];
    while ((waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= life.durable) {
      this.#durableLast.set(life, must(waiting.shift(), "it was looked at").last);
    }
    if (waiting.length === 0) this.#held.set(member.sid, this.#heldBy(life));
  }

  /** A message leaves, and with it what it promises. */
  leaving(member: Member, message: PeerMessage): void {
    const promised = this.#promised.get(member.sid) ?? { acceptedEpoch: 0, currentEpoch: 0 };
    if (message.type === "ACKEPOCH" || message.type === "LEADERINFO") {
      promised.acceptedEpoch = Math.max(promised.acceptedEpoch, message.epoch);
    } else if (message.type === "ACK" || message.type === "UPTODATE") {
      promised.currentEpoch = Math.max(promised.currentEpoch, message.epoch);
    }
    this.#promised.set(member.sid, promised);
    switch (message.type) {
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "NEWLEADER":
      case "PROPOSAL":
      case "UPTODATE":
      case "COMMIT":
        this.#leads(member, message.epoch);
    }
  }

  #leads(member: Member, epoch: number): void {
    const leader = `${member.sid}/${member.lives}`;
    const known = this.#leaders.get(epoch) ?? leader;
    this.#must("INV-1", known === leader, () => `${leader} and ${known} lead epoch ${epoch}`);
    this.#leaders.set(epoch, leader);
  }

  submitted(member: Member, token: Token, session: SessionId, linearizable: boolean): void {
    const mustSee = linearizable ? this.told : null;
    this.#asked.set(token, { sid: member.sid, life: member.lives, session, mustSee });
  }

  responded(member: Member, token: Token, answer: ServerAnswer): void {
    const asked = must(this.#asked.get(token), "only what was asked is answered");
    this.#must(
      "INV-7",
      asked.sid === member.sid && asked.life === member.lives,
      () => `${token} goes astray`,
    );
    if (asked.session !== NO_SESSION && (answer.ok || answer.code !== "THROTTLED")) {
      const key = `${asked.sid}/${asked.life}/${asked.session}`;
      this.#must("INV-7", (this.#answered.get(key) ?? 0) < token, () => `${token} is answered out of order`);
      this.#answered.set(key, token);
    }
    if (!answer.ok) return;
    this.#must(
      "INV-6",
      this.#knows(answer.zxid),
      () => `${token} tells of ${text(answer.zxid)}, not committed`,
    );
    if (asked.mustSee !== null) {
      const seen = asked.mustSee;
      this.#must("INV-8", compareZxid(answer.zxid, seen) >= 0, () => `${token} does not show ${text(seen)}`);
    }
    this.told = maxZxid(this.told, answer.zxid);
  }

  /** A step of a member is over: what it applied is committed from now on. */
  applied(member: Member, life: Life): void {
    const { tree } = life.server;
    const { log } = life.storage;
    const before = this.#applied.get(life) ?? 0;
    const from = this.history[before - 1]?.zxid ?? ZXID_ZERO;
    if (compareZxid(tree.lastApplied, from) === 0) return;
    const durable = must(this.#durableLast.get(life), "a life knows its disk");
    this.#must(
      "INV-9",
      compareZxid(tree.lastApplied, durable) <= 0 || compareZxid(tree.lastApplied, log.base.zxid) === 0,
      () => `${member.sid} applied ${text(tree.lastApplied)}, durable ${text(durable)}`,
    );
    if (compareZxid(tree.lastApplied, from) > 0 && log.positionAt(from)?.zxid !== undefined) {
      this.#walk(member, life, from);
    }
    this.#checkPosition(member, must(log.positionAt(tree.lastApplied), "what is applied is in the log"));
    this.#applied.set(life, this.#countUpTo(tree.lastApplied));
    if (this.#tampered.has(member.sid)) return;
    const digest = `${tree.digestHigh}:${tree.digestLow}`;
    const known = this.#digests.get(keyOf(tree.lastApplied));
    if (known === undefined) this.#digests.set(keyOf(tree.lastApplied), digest);
    else this.#must("INV-5", known === digest, () => `${member.sid} differs at ${text(tree.lastApplied)}`);
  }

  // ── after every event ────────────────────────────────────────────────────

  check(): void {
    for (const member of this.#cluster.members) {
      const { life } = member;
      if (life === null) continue;
      const { zab } = life.server;
      const phase = `${zab.role}/${zab.phase}/${zab.currentEpoch}`;
      if (this.#phases.get(life) === phase) continue;
      this.#phases.set(life, phase);
      if (zab.role !== "LEADING" || zab.phase !== "BROADCAST") continue;
      this.#leads(member, zab.currentEpoch);
      this.#must(
        "INV-3",
        this.#heldBy(life) === this.history.length,
        () => `${member.sid} lacks committed txns: ${this.#heldBy(life)} of ${this.history.length}`,
      );
    }
  }

  // ── the committed history ────────────────────────────────────────────────

  /** Compares what a member applied with the history, and extends it. */
  #walk(member: Member, life: Life, from: Zxid): void {
    const { log } = life.storage;
    const end = life.server.tree.lastApplied;
    let index = this.#countUpTo(from);
    for (let slice = log.read(from); slice !== undefined; slice = log.read(slice.last)) {
      const lanes = newLanes();
      lanes[0] = slice.prev.chain.high;
      lanes[1] = slice.prev.chain.low;
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next() && compareZxid(cursor.zxid(), end) <= 0) {
        chainHash(lanes[0] ?? 0, lanes[1] ?? 0, slice.batch, cursor.start, cursor.end, lanes);
        const chain = { high: (lanes[0] ?? 0) >>> 0, low: (lanes[1] ?? 0) >>> 0 };
        const entry = { zxid: cursor.zxid(), chain, session: cursor.session, xid: cursor.xid };
        const known = this.history[index];
        if (known === undefined) this.#extend(entry, cursor);
        else this.#same(member, known, entry);
        index += 1;
      }
      if (compareZxid(slice.last, end) >= 0) break;
    }
  }

  #same(member: Member, known: Committed, entry: Committed): void {
    this.#must(
      "INV-2",
      compareZxid(known.zxid, entry.zxid) === 0 &&
        known.chain.high === entry.chain.high &&
        known.chain.low === entry.chain.low,
      () => `${member.sid} applied ${text(entry.zxid)} where others applied ${text(known.zxid)}`,
    );
  }

  #extend(entry: Committed, cursor: TxnCursor): void {
    const last = this.history.at(-1);
    if (last !== undefined) {
      this.#must(
        "INV-2",
        compareZxid(last.zxid, entry.zxid) < 0,
        () => `${text(entry.zxid)} is out of order`,
      );
    }
    this.#index.set(keyOf(entry.zxid), this.history.length);
    this.history.push(entry);
    if (entry.xid > 0 && cursor.type !== TxnType.ERROR) this.#once(entry);
  }

  #once(entry: Committed): void {
    const { session, xid, zxid } = entry;
    const key = `${session}/${xid}`;
    const known = this.#done.get(key);
    this.#must(
      "INV-6",
      known === undefined,
      () => `${key} happens at ${text(known ?? zxid)} and ${text(zxid)}`,
    );
    this.#done.set(key, zxid);
    if (isAnonymous(session)) return;
    this.#must("INV-6", (this.#lastXid.get(session) ?? 0) < xid, () => `${key} happens out of order`);
    this.#lastXid.set(session, xid);
  }

  #knows(zxid: Zxid): boolean {
    return compareZxid(zxid, ZXID_ZERO) === 0 || this.#index.has(keyOf(zxid));
  }

  /** A place that is known to be committed is the history's. */
  #checkPosition(member: Member, position: LogPosition): void {
    if (compareZxid(position.zxid, ZXID_ZERO) === 0) return;
    const known = this.history[this.#index.get(keyOf(position.zxid)) ?? -1];
    this.#must("INV-2", known !== undefined, () => `${member.sid} applied ${text(position.zxid)} alone`);
    if (known !== undefined) this.#same(member, known, { ...known, ...position });
  }

  /** How many committed txns are at or before `zxid`. */
  #countUpTo(zxid: Zxid): number {
    const exact = this.#index.get(keyOf(zxid));
    if (exact !== undefined) return exact + 1;
    let low = 0;
    let high = this.history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareZxid(must(this.history[middle], "inside").zxid, zxid) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many committed txns a member holds, in its tree and log. */
  #heldBy(life: Life): number {
    const { log } = life.storage;
    const end = this.history.at(-1);
    if (end === undefined) return 0;
    const position = log.positionAt(end.zxid);
    if (position === undefined) return this.history.length;
    const count = this.#countUpTo(position.zxid);
    const known = this.history[count - 1];
    if (known === undefined) return 0;
    const same = known.chain.high === position.chain.high && known.chain.low === position.chain.low;
    return same && compareZxid(known.zxid, position.zxid) === 0 ? count : this.#commonWith(life, count);
  }

  /** The log ends in something that was never committed: how far it is the history's. */
  #commonWith(life: Life, upTo: number): number {
    for (let count = upTo; count > 0; count--) {
      const known = must(this.history[count - 1], "inside");
      const position = life.storage.log.positionAt(known.zxid);
      if (position === undefined) return count;
      if (
        compareZxid(position.zxid, known.zxid) === 0 &&
        position.chain.high === known.chain.high &&
        position.chain.low === known.chain.low
      ) {
        return count;
      }
    }
    return 0;
  }
}
