/**
 * One Zab peer and a script that plays all other members: the test writes every incoming message, and inspects the
 * outgoing ones. The storage is the real one, in memory. Writes become durable when the script says so.
 */
import { must } from "../../core/assert.ts";
import { MemberStorage } from "../../core/server/storage.ts";
import { found } from "../../core/server/storage-backend.ts";
import { appendTxn } from "../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../core/wire/writer.ts";
import { makeZabConfig, type ZabConfig } from "../../core/zab/config.ts";
import type { DurableWrite, ZabEffect } from "../../core/zab/effects.ts";
import type { LogEntry } from "../../core/zab/log-entry.ts";
import { makeEntry } from "../../core/zab/log-entry.ts";
import { asSid, foundingMembership } from "../../core/zab/membership.ts";
import type { DigestAt, LogPosition, Notification, Role, ZabMessage } from "../../core/zab/messages.ts";
import { ZabPeer } from "../../core/zab/peer.ts";
import { asEpoch, compareZxid, type Zxid, zxid } from "../../core/zab/zxid.ts";
import { ZnodeTree } from "../../core/znode/tree.ts";
import { NO_SESSION, type SessionId, type Txn } from "../../core/znode/types.ts";
import { MemoryBackend } from "../../sim/memory-backend.ts";

/** The start of every log. */
export const START: LogPosition = { zxid: zxid(0, 0), chain: { high: 0, low: 0 } };

/** `count` txns of one epoch from `counter` on. `mark` makes otherwise equal txns differ. */
export function batchOf(epoch: number, counter: number, count = 1, mark = 0): Uint8Array {
  const writer = new ByteWriter(64);
  for (let i = 0; i < count; i++) {
    const header = { session: NO_SESSION as SessionId, xid: 0, zxid: zxid(epoch, counter + i), timeMs: mark };
    const txn: Txn = { type: "createSession", timeoutMs: 1000 };
    appendTxn(writer, { ...header, session: (epoch * 100_000 + counter + i) as SessionId }, txn);
  }
  return writer.view().slice();
}

/** Entries one after the other, from (epoch, counter, count) triples. */
export function entriesOf(after: LogPosition, ...runs: readonly (readonly number[])[]): LogEntry[] {
  let tail = after;
  return runs.map(([epoch = 1, counter = 1, count = 1, mark = 0]) => {
    const entry = must(
      makeEntry(tail, batchOf(epoch, counter, count, mark)),
      "the runs continue one another",
    );
    tail = { zxid: entry.last, chain: entry.chain };
    return entry;
  });
}

/** Where a history ends. */
export function endOf(entries: readonly LogEntry[]): LogPosition {
  const last = entries.at(-1);
  return last === undefined ? START : { zxid: last.last, chain: last.chain };
}

/** The durable write of an entry. */
export const appendOf = (entry: LogEntry, committed: Zxid = zxid(0, 0)): DurableWrite => ({
  type: "append",
  ...entry,
  committed,
});

export interface ScriptOptions {
  readonly sid?: number;
  /** number of the first life */
  readonly boot?: number;
  readonly size?: number;
  readonly config?: Partial<ZabConfig>;
  readonly acceptedEpoch?: number;
  readonly currentEpoch?: number;
  readonly initialized?: boolean;
  /** without memory because it is new; else because it lost it */
  readonly founding?: boolean;
  readonly history?: readonly LogEntry[];
  /** up to here the log knows that it is committed */
  readonly committed?: Zxid;
  /** writes are durable at once */
  readonly durable?: boolean;
}

export class Script {
  readonly backend = new MemoryBackend();
  storage: MemberStorage;
  peer: ZabPeer;
  readonly sent: { to: number; message: ZabMessage }[] = [];
  readonly delivered: string[] = [];
  readonly traced: string[] = [];
  readonly left: number[] = [];
  /** the core has ended this life */
  ended = false;
  /** times for which COMMITs are held back, ms */
  readonly holds: number[] = [];
  #durable: boolean;
  #unsynced: number[] = [];
  readonly #size: number;
  readonly #sid: number;
  readonly #boot: number;
  readonly #config: ZabConfig;
  /** *map peer → its link to us* */
  readonly #links = new Map<number, { boot: number; generation: number; seq: number }>();
  readonly #answering = new Map<number, Role>();
  /** *map peer → when the last PING left* */
  readonly #pings = new Map<number, number>();
  now = 10_000;

  constructor(options: ScriptOptions = {}) {
    this.#sid = options.sid ?? 1;
    this.#boot = options.boot ?? 1;
    this.#size = options.size ?? 3;
    this.#config = makeZabConfig(options.config);
    this.#durable = options.durable ?? true;
    if (options.founding === true) found(this.backend);
    const storage = new MemberStorage(this.backend);
    const history = options.history ?? [];
    const epoch = history.at(-1)?.last.epoch ?? 0;
    const currentEpoch = options.currentEpoch ?? epoch;
    storage.persist([
      { type: "acceptedEpoch", epoch: asEpoch(options.acceptedEpoch ?? currentEpoch), to: null },
      { type: "currentEpoch", epoch: asEpoch(currentEpoch) },
      ...(options.initialized === false || options.founding === true
        ? []
        : [{ type: "initialized" as const }]),
      ...history.map((entry) => appendOf(entry, options.committed)),
    ]);
    this.storage = new MemberStorage(this.backend);
    this.peer = this.#newPeer();
  }

  #newPeer(): ZabPeer {
    const { recovered } = this.storage.recover(this.#boot);
    const peer = new ZabPeer(
      asSid(this.#sid),
      foundingMembership(this.#size),
      this.#config,
      this.storage.log,
      this.storage,
      recovered,
    );
    peer.tracing = true;
    return peer;
  }

  // ── what happens ─────────────────────────────────────────────────────────

  start(): this {
    this.run(this.peer.step(this.now, { type: "start" }));
    return this;
  }

  /** Begins another life on what is stored. */
  restart(): this {
    this.storage = new MemberStorage(this.backend);
    this.peer = this.#newPeer();
    this.#unsynced = [];
    this.sent.length = 0;
    this.#links.clear();
    return this.start();
  }

  /** A call of a peer. @returns the replies in its return */
  call(from: number, ...messages: ZabMessage[]): ZabMessage[] {
    const link = this.#link(from);
    const origin = { from: asSid(from), ...link };
    link.seq += 1;
    return this.run(this.peer.step(this.now, { type: "call", origin, messages }));
  }

  /** A call with whatever origin. */
  callAs(
    from: number,
    origin: { boot?: number; generation?: number; seq?: number },
    ...messages: ZabMessage[]
  ) {
    const full = { boot: 1, generation: 1, seq: 0, ...origin, from: asSid(from) };
    return this.run(this.peer.step(this.now, { type: "call", origin: full, messages }));
  }

  /** The return of a call of ours. */
  returned(peer: number, ...messages: ZabMessage[]): void {
    const generation = this.peer.links.get(asSid(peer))?.generation ?? 1;
    this.returnedAs(peer, { generation }, ...messages);
  }

  returnedAs(peer: number, from: { generation?: number; boot?: number }, ...messages: ZabMessage[]): void {
    const { generation = 1, boot = this.#link(peer).boot } = from;
    this.run(this.peer.step(this.now, { type: "returned", peer: asSid(peer), generation, boot, messages }));
  }

  broken(peer: number, generation = this.peer.links.get(asSid(peer))?.generation ?? 1): void {
    this.run(this.peer.step(this.now, { type: "linkBroken", peer: asSid(peer), generation }));
  }

  /** Lets time pass. */
  after(ms: number): void {
    this.now += ms;
    this.run(this.peer.step(this.now, { type: "tick" }));
  }

  /** Lets time pass as an alarm would: every deadline is kept. */
  passes(ms: number): void {
    const end = this.now + ms;
    while (this.peer.deadline <= end) {
      this.after(Math.max(1, this.peer.deadline - this.now));
      this.#pong();
    }
    this.now = Math.max(this.now, end);
  }

  #pong(): void {
    for (const [peer, role] of this.#answering) {
      const sentAt = this.#pings.get(peer);
      this.#pings.delete(peer);
      if (sentAt !== undefined) this.returned(peer, { type: "PONG", sentAt, role });
    }
  }

  /** These peers answer every PING from now on. */
  alive(role: Role, ...peers: readonly number[]): void {
    for (const peer of peers) this.#answering.set(peer, role);
    this.#pong();
  }

  /** The peer's link to us is a new one. */
  reconnect(from: number): void {
    const link = this.#link(from);
    link.generation += 1;
    link.seq = 0;
  }

  reboot(from: number): void {
    const link = this.#link(from);
    link.boot += 1;
    link.generation = 1;
    link.seq = 0;
  }

  /** A call of this peer is lost on its way. */
  lose(from: number): void {
    this.#link(from).seq += 1;
  }

  /** What was written becomes durable, in order; `count` of it. */
  sync(count = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < count && this.#unsynced.length > 0; i++) {
      const seq = must(this.#unsynced.shift(), "something was written");
      this.run(this.peer.step(this.now, { type: "persisted", seq }));
    }
  }

  propose(epoch: number, counter: number, count = 1): Uint8Array {
    const batch = batchOf(epoch, counter, count);
    this.run(this.peer.propose(this.now, batch));
    return batch;
  }

  /** A hold is over. */
  release(): void {
    this.run(this.peer.step(this.now, { type: "released" }));
  }

  flush(): void {
    this.run(this.peer.flushCommits(this.now));
  }

  diverge(at: Zxid = this.peer.lastProcessedZxid): void {
    this.run(this.peer.diverged(this.now, at));
  }

  /** A member that applies reports its tree, and then a step ends. */
  tellDigest(digest: DigestAt): void {
    this.peer.digest = digest;
    if (this.peer.proposing?.comparing === true) this.run(this.peer.compareTrees(this.now));
    this.flush();
  }

  resign(): void {
    this.run(this.peer.resign(this.now));
  }

  // ── what comes of it ─────────────────────────────────────────────────────

  run(effects: readonly ZabEffect[]): ZabMessage[] {
    const replies: ZabMessage[] = [];
    const durable: number[] = [];
    for (const effect of effects) {
      switch (effect.type) {
        case "persist":
          this.storage.persist(effect.writes);
          (this.#durable ? durable : this.#unsynced).push(effect.seq);
          break;
        case "send":
          this.sent.push({ to: effect.to, message: effect.message });
          if (effect.message.type === "PING") this.#pings.set(effect.to, effect.message.sentAt);
          break;
        case "reply":
          replies.push(effect.message);
          break;
        case "deliver":
          this.delivered.push(`${effect.upTo.epoch}.${effect.upTo.counter}`);
          break;
        case "trace":
          this.traced.push(effect.event.type);
          break;
        case "hold":
          this.holds.push(effect.ms);
          break;
        case "learnerLeft":
          this.left.push(effect.sid);
          break;
        case "checkpoint":
          this.#checkpoint();
          replies.push(...this.run(this.peer.checkpointed(this.now)));
          break;
        case "abort":
          this.ended = true;
          break;
        default:
          // nothing that a script looks at
          break;
      }
    }
    for (const seq of durable)
      replies.push(...this.run(this.peer.step(this.now, { type: "persisted", seq })));
    return replies;
  }

  /** There is no tree here: its checkpoint has no rows. */
  #checkpoint(): void {
    const changes = new ZnodeTree().takeChanges();
    const retention = { logRetainTxns: 1_000, diffBytesMax: 1_000_000 };
    this.storage.checkpoint({ ...changes, lastApplied: this.peer.lastProcessedZxid }, retention);
  }

  /** Takes what was sent to a peer out, or to all. */
  take(to?: number): ZabMessage[] {
    const mine = this.sent.filter((each) => to === undefined || each.to === to);
    const rest = this.sent.filter((each) => !mine.includes(each));
    this.sent.length = 0;
    this.sent.push(...rest);
    return mine.map(({ message }) => message);
  }

  /** Takes what was sent, as the names of the messages. */
  takeTypes(to?: number): string[] {
    return this.take(to).map(({ type }) => type);
  }

  get tail(): string {
    const { epoch, counter } = this.peer.lastLogged.zxid;
    return `${epoch}.${counter}`;
  }

  get state(): string {
    return `${this.peer.role}/${this.peer.phase}`;
  }

  #link(from: number): { boot: number; generation: number; seq: number } {
    let link = this.#links.get(from);
    if (link === undefined) {
      link = { boot: 1, generation: 1, seq: 0 };
      this.#links.set(from, link);
    }
    return link;
  }
}

/** A vote of `from`, for itself unless said otherwise. */
export function note(
  from: number,
  fields: {
    role?: Role;
    round?: number;
    leader?: number;
    epoch?: number;
    zxid?: Zxid;
    acceptedEpoch?: number;
    initialized?: boolean;
    founding?: boolean;
    boots?: readonly number[];
  } = {},
): Notification {
  const { epoch = 0, zxid: last = zxid(0, 0) } = fields;
  return {
    type: "NOTIFICATION",
    role: fields.role ?? "LOOKING",
    round: fields.round ?? 1,
    vote: { leader: asSid(fields.leader ?? from), epoch: asEpoch(epoch), zxid: last },
    acceptedEpoch: asEpoch(fields.acceptedEpoch ?? epoch),
    initialized: fields.founding === true ? false : (fields.initialized ?? true),
    founding: fields.founding ?? false,
    ...(fields.boots !== undefined && { boots: fields.boots }),
  };
}

/** Makes member 1 (by a better history) lead a group whose other members have `theirs`, up to broadcast. */
export function leading(options: ScriptOptions = {}, followers: readonly number[] = [2]): Script {
  const script = new Script({ sid: 3, ...options }).start();
  for (const from of followers) {
    elect(script, from);
  }
  const epoch = script.peer.acceptedEpoch + (script.peer.acceptedEpoch > script.peer.currentEpoch ? 0 : 1);
  for (const from of followers) script.call(from, followerInfo(1, epoch - 1));
  for (const from of followers) script.returned(from, ackEpoch(script, { join: 1 }));
  for (const from of followers) script.returned(from, ack(script, 1, script.peer.lastLogged.zxid));
  script.take();
  return script;
}

/** A vote for the script's own member, as good as its own. */
export function elect(script: Script, from: number): void {
  const { currentEpoch, lastLogged } = script.peer;
  script.call(
    from,
    note(from, {
      leader: selfOf(script),
      epoch: currentEpoch,
      zxid: lastLogged.zxid,
      round: script.peer.elections,
      acceptedEpoch: script.peer.acceptedEpoch,
    }),
  );
  script.passes(100);
}

const selfOf = (script: Script): number => {
  const peers = [...script.peer.links.keys()];
  for (let sid = 1; sid <= peers.length + 1; sid++) if (!peers.includes(asSid(sid))) return sid;
  return 0;
};

export const followerInfo = (join: number, acceptedEpoch = 0, initialized = true): ZabMessage => ({
  type: "FOLLOWERINFO",
  join,
  acceptedEpoch: asEpoch(acceptedEpoch),
  initialized,
});

export function ackEpoch(
  script: Script,
  fields: {
    join: number;
    epoch?: number;
    currentEpoch?: number;
    counted?: boolean;
    last?: LogPosition;
    needSnap?: boolean;
    diverged?: boolean;
    divergedAt?: Zxid;
    /** absent: of a version that confirms nothing */
    digest?: DigestAt | null | undefined;
    checksEarly?: boolean;
    boots?: readonly number[];
  },
): ZabMessage {
  return {
    type: "ACKEPOCH",
    join: fields.join,
    epoch: asEpoch(fields.epoch ?? script.peer.acceptedEpoch),
    currentEpoch: asEpoch(fields.currentEpoch ?? (fields.last ?? script.peer.lastLogged).zxid.epoch),
    counted: fields.counted ?? true,
    last: fields.last ?? script.peer.lastLogged,
    needSnap: fields.needSnap ?? false,
    diverged: fields.diverged ?? false,
    ...(fields.divergedAt !== undefined && { divergedAt: fields.divergedAt }),
    ...(fields.digest !== undefined && { digest: fields.digest }),
    ...(fields.checksEarly !== undefined && { checksEarly: fields.checksEarly }),
    boots: fields.boots ?? [],
  };
}

export const ack = (script: Script, join: number, at: Zxid, patienceMs = 0): ZabMessage => ({
  type: "ACK",
  join,
  epoch: script.peer.acceptedEpoch,
  zxid: at,
  patienceMs,
});

/** A digest that differs from every other with another `tree`. */
export const digestAt = (at: Zxid, tree = 1): DigestAt => ({ zxid: at, high: tree, low: at.counter });

export const confirm = (script: Script, join: number, at: Zxid): ZabMessage => ({
  type: "CONFIRM",
  join,
  epoch: script.peer.acceptedEpoch,
  zxid: at,
});

export const staged = (script: Script, join: number): ZabMessage => ({
  type: "STAGED",
  join,
  epoch: script.peer.acceptedEpoch,
});

/** The proposal of an entry behind `prev`. */
export const proposal = (
  join: number,
  epoch: number,
  prev: LogPosition,
  entry: LogEntry,
  commit = zxid(0, 0),
): ZabMessage => ({
  type: "PROPOSAL",
  join,
  epoch: asEpoch(epoch),
  prev,
  batch: entry.batch,
  last: entry.last,
  commit,
});

/** Is a ≤ b? */
export const upTo = (a: Zxid, b: Zxid): boolean => compareZxid(a, b) <= 0;
