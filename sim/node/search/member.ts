/**
 * One member as the search sees it: the real {@link ZabPeer} over the real {@link MemberStorage}, with a disk that is
 * durable up to some group of writes and an output gate. A member changes only by an {@link Input}, and the same input in
 * the same state has the same outcome. So a state is a number, and the core computes the outcome of each input only once.
 *
 * A state of a member is not stored but recreated, by feeding the inputs that led to it to a new peer.
 *
 * Time is an input too: a member's clock stands still, and the search decides when a deadline passes.
 */
import { must } from "../../../core/assert.ts";
import { MemberStorage } from "../../../core/server/storage.ts";
import { appendTxn, TxnCursor } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { makeZabConfig } from "../../../core/zab/config.ts";
import type { ZabEffect, ZabInput } from "../../../core/zab/effects.ts";
import { foundingMembership, type Membership, type Sid } from "../../../core/zab/membership.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";
import { ZabPeer } from "../../../core/zab/peer.ts";
import { MajorityQuorum } from "../../../core/zab/quorum-verifier.ts";
import { compareZxid } from "../../../core/zab/zxid.ts";
import { ZnodeTree } from "../../../core/znode/tree.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { MemoryBackend } from "../../memory-backend.ts";
import { encode } from "./encode.ts";
import { FactsReader } from "./facts.ts";
import type { Live, Told } from "./live.ts";
import {
  DECIDE_AT,
  GIVE_UP_AT,
  LONG_AGO,
  learnersOf,
  NOW,
  normalize,
  opened,
  RESEND_AT,
  rolesOf,
} from "./opened.ts";
import { type Entry, type Facts, type Input, type Outcome, type Outgoing, Phase, Role } from "./step.ts";
import { Interner, PairTable } from "./tables.ts";

/** The origin of a state of a member: a disk, or another state. */
interface Origin {
  readonly disk: number;
  readonly told: Told;
  readonly before: number;
  readonly input: number;
}

interface Disk {
  readonly backend: MemoryBackend;
}

/** No change, because members have no tree here: checkpoints have no rows. */
const NO_CHANGES = new ZnodeTree().takeChanges();

const NOTHING: Omit<Outcome, "next"> = {
  out: [],
  delivered: [],
  loaded: -1,
  leads: 0,
  looks: 0,
  reasons: [],
  failure: undefined,
};

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
  readonly #reader = new FactsReader();
  readonly #keys = new Interner<Origin>();
  readonly facts: Facts[] = [];
  readonly #disks = new Interner<Disk>();
  readonly #known = new PairTable();
  readonly #outcomes: Outcome[] = [];
  /** *map state → instance* for the latest instances */
  readonly #warm = new Map<number, Live>();
  /** number of computed steps of the core, replays included */
  steps = 0;
  /** whether the outcome of the current step is already known */
  #replaying = false;

  /** @param size of the ensemble, which is odd; one member may never be up */
  constructor(size: number) {
    this.#membership = foundingMembership(size);
    this.quorum = new MajorityQuorum(this.#membership);
  }

  /** All entries by number. */
  get entries(): Interner<Entry> {
    return this.#reader.entries;
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

  /** The state of a founded member that has never run. */
  fresh(sid: Sid): number {
    const backend = new MemoryBackend();
    backend.writeMeta({ ...backend.readMeta(), initialized: true });
    return this.#down(sid, backend, { acceptedEpoch: 0, currentEpoch: 0 });
  }

  /** The outcome of this input in this state. */
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
      const log = this.#reader.entriesOf(storage.log);
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
        delivered: this.#reader.entry(storage.log, storage.meta.checkpoint),
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
    const id = this.#state(key, { ...origin, told: { ...origin.told } }, () => this.#reader.of(sid, live));
    this.#keep(id, live);
    return id;
  }

  #state(key: string, origin: Origin, facts: () => Facts): number {
    return this.#keys.id(key, () => {
      this.facts.push(facts());
      return origin;
    });
  }

  /** Keeps the instance for reuse. */
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
        // Calls of one link arrive without a gap, so they are not counted: `normalize` always expects the same number.
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
        const changes = { ...NO_CHANGES, lastApplied: peer.lastProcessedZxid };
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
    // The deadline passes while the member runs, so that it does not count as a pause of the member itself.
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
    // As the server does: learners receive commits at the end of the turn.
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
            delivered.push(this.#reader.entry(live.storage.log, at));
          }
          break;
        }
        case "snapshotLoaded":
          loaded = this.#reader.entry(live.storage.log, live.storage.meta.checkpoint);
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
          // not part of a state
          break;
      }
    }
    // An empty return would only show that the peer is alive.
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

  /**
   * Sends an output once all earlier writes are durable.
   * @returns the epoch in which the output shows the member as leader, or 0
   */
  #gated(live: Live, item: Outgoing, messages: readonly ZabMessage[], out: Outgoing[]): number {
    if (live.gate.length === 0 && live.pending.length === 0) return this.#release(live, item, messages, out);
    live.gate.push({ after: live.pending.length, item, messages });
    return 0;
  }

  #release(live: Live, item: Outgoing, messages: readonly ZabMessage[], out: Outgoing[]): number {
    // A link that broke in the meantime carries no more calls.
    if (item.isCall && rolesOf(live.peer).links.of(item.to).generation !== item.generation) return 0;
    out.push(item);
    let leads = 0;
    for (const message of messages) leads = Math.max(leads, this.#promise(live, message));
    return leads;
  }

  /** Records the promises of a message that is sent. @returns the epoch in which the message shows the member as leader, or 0 */
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
}
