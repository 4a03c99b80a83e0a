/**
 * One member as the search sees it: the real {@link ZabPeer} over the real {@link MemberStorage}, with a disk that is durable up
 * to some group of writes and an output gate. A member changes only by an {@link Input}, and the same input in the same state
 * has the same outcome: so a state is a number, and what an input does to it is computed once, by the core, and then known.
 *
 * A state of a member is not kept but made again, by feeding the inputs that led to it to a new peer.
 *
 * Time is an input like others: a member's clock stands still, and a deadline passes when the search says so.
 */
import { must } from "../../../core/assert.ts";
import { MemberStorage } from "../../../core/server/storage.ts";
import { appendTxn, TxnCursor } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { makeZabConfig } from "../../../core/zab/config.ts";
import type { DurableWrite, ZabEffect, ZabInput } from "../../../core/zab/effects.ts";
import type { Learners } from "../../../core/zab/learners.ts";
import { asSid, foundingMembership, type Membership, type Sid } from "../../../core/zab/membership.ts";
import type { LogPosition, ZabMessage } from "../../../core/zab/messages.ts";
import { ZabPeer } from "../../../core/zab/peer.ts";
import { MajorityQuorum } from "../../../core/zab/quorum-verifier.ts";
import type { Roles } from "../../../core/zab/roles.ts";
import type { TxnLog } from "../../../core/zab/txn-log.ts";
import { compareZxid, equalZxid } from "../../../core/zab/zxid.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { MemoryBackend } from "../../memory-backend.ts";
import { encode } from "./encode.ts";
import { Interner, PairTable } from "./tables.ts";

/** What may happen to a member. */
export type Input =
  | {
      readonly kind: "call";
      readonly from: Sid;
      readonly boot: number;
      readonly generation: number;
      readonly message: ZabMessage;
    }
  | {
      readonly kind: "returned";
      readonly peer: Sid;
      readonly boot: number;
      readonly messages: readonly ZabMessage[];
    }
  | { readonly kind: "broken"; readonly peer: Sid }
  /** the oldest group of writes became durable */
  | { readonly kind: "synced" }
  /** nobody with a better vote came in time */
  | { readonly kind: "decide" }
  /** votes are said again */
  | { readonly kind: "resend" }
  /** the deadline of the role has passed */
  | { readonly kind: "giveUp" }
  /** the leader has not heard this learner for too long */
  | { readonly kind: "silent"; readonly peer: Sid }
  /** a client's write, the n-th of the run */
  | { readonly kind: "propose"; readonly n: number }
  | { readonly kind: "checkpoint" }
  /** memory is lost, and of what was not durable so many groups are kept */
  | { readonly kind: "crash"; readonly keep: number }
  | { readonly kind: "start" };

/** What left a member: a call, or the return of a call that came with this boot and generation. */
export interface Outgoing {
  readonly to: Sid;
  readonly isCall: boolean;
  /** number of the input that it is to its receiver */
  readonly input: number;
  readonly boot: number;
  readonly generation: number;
}

/** What an input did. */
export interface Outcome {
  readonly next: number;
  readonly out: readonly Outgoing[];
  /** numbers of the entries that were delivered, in order */
  readonly delivered: readonly number[];
  /** the history was replaced by a snapshot that ends in this entry, or −1 */
  readonly loaded: number;
  /** the epoch in which it acted as leader, or 0 */
  readonly leads: number;
  /** elections begun */
  readonly looks: number;
  /** reasons for which a role was given up */
  readonly reasons: readonly string[];
  /** what the core asserted in vain */
  readonly failure: string | undefined;
}

/** Role of a member. */
export const Role = { DOWN: 0, LOOKING: 1, FOLLOWING: 2, LEADING: 3 } as const;
/** Phase of a member. */
export const Phase = { ELECTION: 0, DISCOVERY: 1, SYNCHRONIZATION: 2, BROADCAST: 3 } as const;

/** What the search has to know of a state of a member. */
export interface Facts {
  readonly sid: Sid;
  readonly up: boolean;
  readonly boot: number;
  readonly role: number;
  readonly phase: number;
  readonly leader: number;
  readonly pending: number;
  readonly mayDecide: boolean;
  readonly mayResend: boolean;
  readonly mayPropose: boolean;
  readonly mayCheckpoint: boolean;
  readonly learners: readonly Sid[];
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
  readonly durableAcceptedEpoch: number;
  readonly durableCurrentEpoch: number;
  /** what left it promised these */
  readonly toldAcceptedEpoch: number;
  readonly toldCurrentEpoch: number;
  /** entries: base, then one after the other */
  readonly log: readonly number[];
  readonly durableLog: readonly number[];
  /** the last one that is delivered */
  readonly delivered: number;
}

interface Group {
  seq: number;
  readonly writes: readonly DurableWrite[];
  /** the text of the writes; undefined: not made yet */
  key: string | undefined;
}

interface Live {
  readonly peer: ZabPeer;
  readonly storage: MemberStorage;
  readonly durableBackend: MemoryBackend;
  readonly durable: MemberStorage;
  /** the text of what is durable; undefined: not made yet */
  durableKey: string | undefined;
  pending: Group[];
  /** what waits until so many groups of `pending` are durable */
  gate: { after: number; readonly item: Outgoing; readonly messages: readonly ZabMessage[] }[];
  told: Told;
}

interface Told {
  acceptedEpoch: number;
  currentEpoch: number;
}

/** How a state of a member came about: on a disk, or from another state. */
interface Origin {
  readonly disk: number;
  readonly told: Told;
  readonly before: number;
  readonly input: number;
}

interface Disk {
  readonly backend: MemoryBackend;
}

/** One entry of a history; the chain stands for all before it. */
export interface Entry {
  readonly epoch: number;
  readonly counter: number;
  readonly sid: number;
}

const NOTHING: Omit<Outcome, "next"> = {
  out: [],
  delivered: [],
  loaded: -1,
  leads: 0,
  looks: 0,
  reasons: [],
  failure: undefined,
};

/** Private names as `open-core.ts` leaves them. */
type Opened<T> = T & Record<string, unknown>;
const opened = <T extends object>(object: T): Opened<T> => object as Opened<T>;

/** A clock that never moves by itself. */
const NOW = 0;
const DECIDE_AT = 1;
const RESEND_AT = 10;
const GIVE_UP_AT = 100;
const LONG_AGO = -1_000;

const CONFIG = makeZabConfig({
  tickTimeMs: 10,
  initLimit: 2,
  syncLimit: 2,
  finalizeWaitMs: DECIDE_AT,
  electionRetryMs: RESEND_AT,
  electionRetryMsMax: RESEND_AT,
  snapChunkBytesMax: 1 << 20,
});

/** All members of one search: their states, inputs and entries by number. */
export class Members {
  readonly quorum: MajorityQuorum;
  readonly #membership: Membership;
  readonly inputs = new Interner<Input>();
  readonly entries = new Interner<Entry>();
  readonly #keys = new Interner<Origin>();
  readonly facts: Facts[] = [];
  readonly #disks = new Interner<Disk>();
  readonly #known = new PairTable();
  readonly #outcomes: Outcome[] = [];
  /** the latest instances, by state */
  readonly #warm = new Map<number, Live>();
  /** steps of the core that were computed, replays included */
  steps = 0;
  /** what comes of a step is known already */
  #replaying = false;

  /** @param size of the ensemble, which is odd: one of them may never be up */
  constructor(size: number) {
    this.#membership = foundingMembership(size);
    this.quorum = new MajorityQuorum(this.#membership);
  }

  get states(): number {
    return this.facts.length;
  }

  get transitions(): number {
    return this.#known.size;
  }

  input(input: Input): number {
    return this.inputs.id(encode(input), () => input);
  }

  /** A founded member that has done nothing yet, and is down. */
  fresh(sid: Sid): number {
    const backend = new MemoryBackend();
    backend.writeMeta({ ...backend.readMeta(), initialized: true });
    return this.#down(sid, backend, { acceptedEpoch: 0, currentEpoch: 0 });
  }

  /** What this input does in this state. */
  outcome(state: number, input: number): Outcome {
    const known = this.#known.get(state, input);
    if (known >= 0) return this.#outcomes[known] as Outcome;
    const outcome = this.#compute(state, input);
    this.#known.set(state, input, this.#outcomes.length);
    this.#outcomes.push(outcome);
    return outcome;
  }

  #compute(state: number, input: number): Outcome {
    const facts = this.facts[state] as Facts;
    const what = this.inputs.at(input);
    try {
      if (what.kind === "start") {
        const origin = this.#keys.at(state);
        const { live, outcome } = this.#start(facts.sid, origin);
        return { ...outcome, next: this.#up(facts.sid, live, { ...origin, before: -1, input }) };
      }
      const live = this.#make(state);
      if (what.kind === "crash") {
        for (const group of live.pending.slice(0, what.keep)) live.durable.persist(group.writes);
        return { ...NOTHING, next: this.#down(facts.sid, live.durableBackend, live.told) };
      }
      const outcome = this.#feed(facts.sid, live, what);
      return {
        ...outcome,
        next: this.#up(facts.sid, live, { disk: -1, told: live.told, before: state, input }),
      };
    } catch (error) {
      return { ...NOTHING, next: state, failure: (error as Error).message };
    }
  }

  #down(sid: Sid, backend: MemoryBackend, told: Told): number {
    const disk = this.#disks.id(`${sid}|${encode(backend)}`, () => ({ backend: backend.clone() }));
    const key = `down|${sid}|${disk}|${encode(told)}`;
    return this.#state(key, { disk, told: { ...told }, before: -1, input: -1 }, () => {
      const storage = new MemberStorage(backend.clone());
      const log = this.#entriesOf(storage.log);
      return {
        sid,
        up: false,
        boot: storage.meta.boot,
        role: Role.DOWN,
        phase: Phase.ELECTION,
        leader: 0,
        pending: 0,
        mayDecide: false,
        mayResend: false,
        mayPropose: false,
        mayCheckpoint: false,
        learners: [],
        acceptedEpoch: storage.meta.acceptedEpoch,
        currentEpoch: storage.meta.currentEpoch,
        durableAcceptedEpoch: storage.meta.acceptedEpoch,
        durableCurrentEpoch: storage.meta.currentEpoch,
        toldAcceptedEpoch: told.acceptedEpoch,
        toldCurrentEpoch: told.currentEpoch,
        log,
        durableLog: log,
        delivered: this.#entry(storage.log, storage.meta.checkpoint),
      };
    });
  }

  #up(sid: Sid, live: Live, origin: Origin): number {
    const pending = live.pending.map((group) => (group.key ??= encode(group.writes)));
    live.durableKey ??= encode(live.durableBackend);
    const gate = live.gate.map(({ after, item }) => [
      after,
      item.to,
      item.isCall,
      item.input,
      item.boot,
      item.generation,
    ]);
    const deferred = encode(opened(rolesOf(live.peer).step)._deferred);
    const key = `up|${sid}|${live.peer.boot}|${encode(live.peer)}|${deferred}|${live.durableKey}|${pending.join("|")}|${encode(gate)}|${encode(live.told)}`;
    const id = this.#state(key, { ...origin, told: { ...origin.told } }, () => this.#factsOf(sid, live));
    this.#keep(id, live);
    return id;
  }

  #state(key: string, origin: Origin, facts: () => Facts): number {
    return this.#keys.id(key, () => {
      this.facts.push(facts());
      return origin;
    });
  }

  /** The instance may serve once more, if it is wanted soon. */
  #keep(state: number, live: Live): void {
    if (this.#warm.has(state)) return;
    this.#warm.set(state, live);
    if (this.#warm.size <= 20_000) return;
    for (const oldest of this.#warm.keys()) {
      this.#warm.delete(oldest);
      break;
    }
  }

  /** An instance in this state, which the caller may change. */
  #make(state: number): Live {
    const warm = this.#warm.get(state);
    if (warm !== undefined) {
      this.#warm.delete(state);
      return warm;
    }
    const inputs: Input[] = [];
    let origin = this.#keys.at(state);
    for (; origin.before >= 0; origin = this.#keys.at(origin.before))
      inputs.push(this.inputs.at(origin.input));
    const { sid } = this.facts[state] as Facts;
    const { live } = this.#start(sid, origin);
    this.#replaying = true;
    while (inputs.length > 0) this.#feed(sid, live, inputs.pop() as Input);
    this.#replaying = false;
    return live;
  }

  #start(sid: Sid, origin: Origin): { live: Live; outcome: Omit<Outcome, "next"> } {
    const backend = this.#disks.at(origin.disk).backend.clone();
    const storage = new MemberStorage(backend);
    const { recovered } = storage.recover(1);
    const durableBackend = backend.clone();
    const peer = new ZabPeer(sid, this.#membership, CONFIG, storage.log, storage, recovered);
    peer.tracing = true;
    const live: Live = {
      peer,
      storage,
      durableBackend,
      durable: new MemberStorage(durableBackend),
      durableKey: undefined,
      pending: [],
      gate: [],
      told: { ...origin.told },
    };
    return { live, outcome: this.#step(sid, live, { type: "start" }) };
  }

  // ── a step ───────────────────────────────────────────────────────────────

  #feed(sid: Sid, live: Live, input: Input): Omit<Outcome, "next"> {
    const { peer } = live;
    switch (input.kind) {
      case "call": {
        const { from, boot, generation, message } = input;
        // Calls of one link come without a gap, so they are not counted: `normalize` has the same number expected always.
        const origin = { from, boot, generation, seq: 0 };
        return this.#step(sid, live, { type: "call", origin, messages: [message] }, input);
      }
      case "returned": {
        const { generation } = rolesOf(peer).links.of(input.peer);
        return this.#step(sid, live, {
          type: "returned",
          peer: input.peer,
          generation,
          boot: input.boot,
          messages: input.messages,
        });
      }
      case "broken": {
        const { generation } = rolesOf(peer).links.of(input.peer);
        return this.#step(sid, live, { type: "linkBroken", peer: input.peer, generation });
      }
      case "synced": {
        const group = must(live.pending.shift(), "something is being written");
        live.durable.persist(group.writes);
        live.durableKey = undefined;
        const out: Outgoing[] = [];
        let leads = 0;
        for (const waiting of live.gate) waiting.after -= 1;
        while ((live.gate[0]?.after ?? 1) <= 0) {
          const { item, messages } = must(live.gate.shift(), "it was looked at");
          leads = Math.max(leads, this.#release(live, item, messages, out));
        }
        const outcome = this.#step(sid, live, { type: "persisted", seq: group.seq });
        return { ...outcome, out: [...out, ...outcome.out], leads: Math.max(leads, outcome.leads) };
      }
      case "decide":
        return this.#step(sid, live, { type: "tick" }, undefined, DECIDE_AT);
      case "resend":
        return this.#step(sid, live, { type: "tick" }, undefined, RESEND_AT);
      case "giveUp":
        for (const part of [rolesOf(peer).looking, rolesOf(peer).leading]) {
          if (part !== null) opened(part)._resendAt = Number.POSITIVE_INFINITY;
        }
        return this.#step(sid, live, { type: "tick" }, undefined, GIVE_UP_AT);
      case "silent": {
        const learner = must(learnersOf(peer).get(input.peer), "it is a learner");
        opened(learner)._heardAt = LONG_AGO;
        return this.#step(sid, live, { type: "tick" });
      }
      case "propose": {
        const writer = new ByteWriter(64);
        const zxid = must(peer.proposing, "a leader proposes").nextZxid;
        appendTxn(
          writer,
          { session: sid as number as SessionId, xid: input.n, zxid, timeMs: 0 },
          { type: "error", code: "NO_NODE", ops: 0, at: 0 },
        );
        return this.#run(sid, live, peer.propose(NOW, writer.view().slice()));
      }
      case "checkpoint": {
        const changes = {
          lastApplied: peer.lastProcessedZxid,
          znodes: [],
          sessions: [],
          deleted: [],
          closed: [],
        };
        const retain = { logRetainTxns: 0, diffBytesMax: CONFIG.diffBytesMax };
        live.storage.checkpoint(changes, retain);
        live.durable.checkpoint(changes, retain);
        live.durableKey = undefined;
        return this.#run(sid, live, []);
      }
      default:
        throw new Error(`${input.kind} is no input of a member that is up`);
    }
  }

  #step(
    sid: Sid,
    live: Live,
    input: ZabInput,
    call?: Extract<Input, { kind: "call" }>,
    now = NOW,
  ): Omit<Outcome, "next"> {
    // The deadline passes while the member runs: standing still is no silence of others.
    opened(live.peer)._steppedAt = now;
    return this.#run(sid, live, live.peer.step(now, input), call);
  }

  #run(
    sid: Sid,
    live: Live,
    effects: readonly ZabEffect[],
    call?: Extract<Input, { kind: "call" }>,
  ): Omit<Outcome, "next"> {
    this.steps += 1;
    const { peer } = live;
    const out: Outgoing[] = [];
    const replies: ZabMessage[] = [];
    const delivered: number[] = [];
    const reasons: string[] = [];
    let loaded = -1;
    let leads = 0;
    let looks = 0;
    // As the server does: the learners hear of commits at the end of the turn.
    for (const effect of [...effects, ...peer.flushCommits(NOW)]) {
      switch (effect.type) {
        case "persist":
          live.storage.persist(effect.writes);
          live.pending.push({ seq: effect.seq, writes: effect.writes, key: undefined });
          break;
        case "send": {
          if (effect.to > this.quorum.participants.length) break;
          const { boot } = peer;
          const { generation, message } = effect;
          if (this.#replaying && live.gate.length === 0 && live.pending.length === 0) {
            this.#promise(live, message);
            break;
          }
          const input = this.input({ kind: "call", from: sid, boot, generation, message });
          leads = Math.max(
            leads,
            this.#gated(live, { to: effect.to, isCall: true, input, boot, generation }, [message], out),
          );
          break;
        }
        case "reply":
          replies.push(effect.message);
          break;
        case "deliver": {
          const cursor = new TxnCursor(effect.batch, effect.offset);
          while (cursor.next() && compareZxid(cursor.zxid(), effect.upTo) <= 0) {
            const at = must(live.storage.log.positionAt(cursor.zxid()), "what is delivered is logged");
            delivered.push(this.#entry(live.storage.log, at));
          }
          break;
        }
        case "snapshotLoaded":
          loaded = this.#entry(live.storage.log, live.storage.meta.checkpoint);
          break;
        case "trace":
          if (effect.event.type === "role") {
            if (effect.event.role === "LOOKING") looks += 1;
            if (effect.event.reason !== undefined) reasons.push(effect.event.reason);
          }
          break;
        case "abort":
          throw new Error(`aborts: ${effect.reason}`);
        default:
          // no part of a state
          break;
      }
    }
    // An empty return would show only that the peer lives.
    if (call !== undefined && replies.length > 0) {
      const { from, boot, generation } = call;
      const input = this.input({ kind: "returned", peer: sid, boot: peer.boot, messages: replies });
      leads = Math.max(
        leads,
        this.#gated(live, { to: from, isCall: false, input, boot, generation }, replies, out),
      );
    }
    if (peer.role === "LEADING" && (peer.phase === "BROADCAST" || peer.phase === "SYNCHRONIZATION")) {
      leads = Math.max(leads, peer.acceptedEpoch);
    }
    normalize(live);
    return { out, delivered, loaded, leads, looks, reasons, failure: undefined };
  }

  /** Lets something out once everything written before it is durable. @returns the epoch that it shows us to lead, or 0 */
  #gated(live: Live, item: Outgoing, messages: readonly ZabMessage[], out: Outgoing[]): number {
    if (live.gate.length === 0 && live.pending.length === 0) return this.#release(live, item, messages, out);
    live.gate.push({ after: live.pending.length, item, messages });
    return 0;
  }

  #release(live: Live, item: Outgoing, messages: readonly ZabMessage[], out: Outgoing[]): number {
    // A link that broke meanwhile carries nothing any more.
    if (item.isCall && rolesOf(live.peer).links.of(item.to).generation !== item.generation) return 0;
    out.push(item);
    let leads = 0;
    for (const message of messages) leads = Math.max(leads, this.#promise(live, message));
    return leads;
  }

  /** A message leaves, and with it what it promises. @returns the epoch that it shows us to lead, or 0 */
  #promise(live: Live, message: ZabMessage): number {
    switch (message.type) {
      case "ACKEPOCH":
      case "LEADERINFO":
        live.told.acceptedEpoch = Math.max(live.told.acceptedEpoch, message.epoch);
        return 0;
      case "ACK":
        live.told.currentEpoch = Math.max(live.told.currentEpoch, message.epoch);
        return 0;
      case "UPTODATE":
        live.told.currentEpoch = Math.max(live.told.currentEpoch, message.epoch);
        return message.epoch;
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "NEWLEADER":
      case "PROPOSAL":
      case "COMMIT":
        return message.epoch;
      default:
        return 0;
    }
  }

  // ── what is in it ────────────────────────────────────────────────────────

  #factsOf(sid: Sid, live: Live): Facts {
    const { peer, storage, durable } = live;
    const decideAt = opened(rolesOf(peer).looking)._decideAt;
    const establishing = peer.role === "LEADING" && peer.phase !== "BROADCAST";
    return {
      sid,
      up: true,
      boot: storage.meta.boot,
      role: Role[peer.role],
      phase: Phase[peer.phase],
      leader: peer.leader ?? 0,
      pending: live.pending.length,
      mayDecide: decideAt !== Number.POSITIVE_INFINITY,
      mayResend:
        live.gate.length === 0 &&
        ((peer.role === "LOOKING" && decideAt === Number.POSITIVE_INFINITY) || establishing),
      mayPropose: peer.proposing?.mayPropose === true,
      mayCheckpoint:
        live.pending.length === 0 &&
        !peer.readsSnapshot &&
        compareZxid(peer.lastProcessedZxid, storage.meta.checkpoint.zxid) > 0,
      learners:
        peer.role === "LEADING" && peer.phase === "BROADCAST"
          ? learnersOf(peer)
              .sids.filter((each) => each !== sid)
              .sort()
          : [],
      acceptedEpoch: peer.acceptedEpoch,
      currentEpoch: peer.currentEpoch,
      durableAcceptedEpoch: durable.meta.acceptedEpoch,
      durableCurrentEpoch: durable.meta.currentEpoch,
      toldAcceptedEpoch: live.told.acceptedEpoch,
      toldCurrentEpoch: live.told.currentEpoch,
      log: this.#entriesOf(storage.log),
      durableLog: this.#entriesOf(durable.log),
      delivered: this.#entry(
        storage.log,
        must(storage.log.positionAt(peer.lastProcessedZxid), "what is delivered is logged"),
      ),
    };
  }

  /** The entries of a log, its base first. */
  #entriesOf(log: TxnLog): number[] {
    const found = [this.#entry(log, log.base)];
    let after = log.base.zxid;
    for (let slice = log.read(after); slice !== undefined; slice = log.read(after)) {
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next())
        found.push(this.#entry(log, must(log.positionAt(cursor.zxid()), "it is in the log")));
      after = slice.last;
    }
    return found;
  }

  #entry(log: TxnLog, { zxid, chain }: LogPosition): number {
    return this.entries.id(`${zxid.epoch}.${zxid.counter}/${chain.high}:${chain.low}`, () => {
      let after = log.base.zxid;
      for (let slice = log.read(after); slice !== undefined; slice = log.read(after)) {
        const cursor = new TxnCursor(slice.batch);
        while (cursor.next()) {
          if (equalZxid(cursor.zxid(), zxid))
            return { epoch: zxid.epoch, counter: zxid.counter, sid: cursor.session };
        }
        after = slice.last;
      }
      return { epoch: zxid.epoch, counter: zxid.counter, sid: 0 };
    });
  }
}

/** The member's own fields that hold a time, and counters that only grow, as if the clock had never moved. */
function normalize(live: Live): void {
  const peer = opened(live.peer);
  const roles = rolesOf(live.peer);
  const step = opened(roles.step);
  const looking = opened(roles.looking);
  const done = step._durableSeq as number;
  step.now = NOW;
  step._durableSeq = 0;
  step._persistSeq = (step._persistSeq as number) - done;
  peer._steppedAt = NOW;
  opened(peer._dispatch as object)._accepted = false;
  if (roles.lastSeq !== null) opened(roles)._lastSeq = roles.lastSeq - done;
  looking._resendAt = RESEND_AT;
  looking._resendPauseMs = RESEND_AT;
  if (looking._decideAt !== Number.POSITIVE_INFINITY) looking._decideAt = DECIDE_AT;
  looking._elections = 0;
  looking._failures = 0;
  looking._leadFrom = 0;
  opened(roles.links)._nextPingAt = Number.POSITIVE_INFINITY;
  for (const link of roles.links.all.values()) Object.assign(link, { heardAt: null, rttMs: null, inSeq: 0 });
  for (const waiting of opened(roles.history)._persisting as { seq: number }[]) waiting.seq -= done;
  for (const group of live.pending) group.seq -= done;
  if (roles.leading !== null) {
    const leader = opened(roles.leading);
    leader._resendAt = RESEND_AT;
    const quorumCheck = opened(leader._quorumCheck as object);
    quorumCheck._establishDeadline = GIVE_UP_AT;
    quorumCheck._aloneDeadline = GIVE_UP_AT;
    quorumCheck._quorumAt = NOW;
    const own = leader._ownEpochSeq as number | null;
    if (own !== null) leader._ownEpochSeq = Math.max(0, own - done);
    for (const learner of learnersOf(live.peer).all()) opened(learner)._heardAt = NOW;
  }
  if (roles.following !== null) {
    const follower = opened(roles.following);
    follower._joinDeadline = GIVE_UP_AT;
    follower._heardAt = NOW;
  }
}

const rolesOf = (peer: ZabPeer): Roles => opened(peer)._roles as Roles;

const learnersOf = (peer: ZabPeer): Learners =>
  opened(must(rolesOf(peer).leading, "it leads"))._learners as Learners;

/** Sid of the member with this index. */
export const sidOf = (index: number): Sid => asSid(index + 1);
