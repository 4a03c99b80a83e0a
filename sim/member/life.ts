/**
 * One life of a member: its real core, in a shell that runs the core's effects like `ZooWeeperNode`, in virtual time. It
 * begins from a disk and ends with a crash, which loses everything in memory.
 */

import { assertNever } from "../../core/assert.ts";
import { StorageError, TreeDamagedError } from "../../core/damaged-error.ts";
import type { ServerAnswer } from "../../core/server/answers.ts";
import { SCRUB_BYTES, type ServerConfig } from "../../core/server/config.ts";
import type { ServerEffect, ServerInput } from "../../core/server/effects.ts";
import type { ParkedSession, Token } from "../../core/server/ids.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import type { MemberStorage } from "../../core/server/storage.ts";
import type { TraceEvent } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { WatchEvent } from "../../core/znode/types.ts";
import { guarded } from "../../durable-objects/shared/guarded.ts";
import type { Invariants } from "../checkers/invariants.ts";
import type { Asked } from "../checkers/requests.ts";
import type { LifeView } from "../checkers/view.ts";
import type { SimClock } from "../clock.ts";
import { FencedError, type SimDisk } from "../disk.ts";
import type { Engine, Range } from "../engine.ts";
import type { Faults } from "../faults.ts";
import type { CachePressure } from "../nemesis/cache-pressure.ts";
import type { Network } from "../network.ts";
import { type AlarmOwner, MemberAlarm } from "./alarm.ts";
import { ClientTable } from "./client-table.ts";
import { type ChannelHost, Links } from "./links.ts";
import { type GateOwner, OutputGate } from "./output-gate.ts";
import type { Turns } from "./turns.ts";

/** When and how an effect makes its member crash. `keep`: number of groups of writes that survive beyond the durable ones. */
export interface CrashOrder {
  readonly when: "before" | "after";
  readonly keep: number;
}

/** Messages to one peer in one call. */
export interface Outgoing {
  readonly to: Sid;
  readonly generation: number;
  readonly messages: PeerMessage[];
}

/** Observer of lives, which may make them crash. */
export interface LifeObserver {
  /** Called before an effect is run; may order a crash there. */
  crashOrder(life: Life, effect: ServerEffect): CrashOrder | undefined;
  onAsleep(life: Life): void;
  onWakeOwner(life: Life, parked: ParkedSession): void;
  onTrace(life: Life, event: TraceEvent): void;
  /** An event for a client that has no connection. */
  onNotify(token: Token, event: WatchEvent): void;
  /** The answer to a request of {@link ClientTable.expect}. */
  onAnswer(life: Life, token: Token, asked: Asked, answer: ServerAnswer): void;
}

/** The simulated platform of a life. */
export interface Platform {
  readonly engine: Engine;
  readonly network: Network;
  readonly turns: Turns;
  readonly faults: Faults;
  readonly config: ServerConfig;
  readonly invariants: Invariants;
  readonly observer: LifeObserver;
  readonly pressure: CachePressure;
  readonly fsyncMs: Range;
  /** how long a turn of I/O takes in which requests gather; ms */
  readonly yieldMs: Range;
  /** The life of a member; null if it is down. */
  lifeOf(sid: number): Life | null;
  /** Sends each call once everything that the life wrote before it is durable. */
  post(life: Life, outgoing: readonly Outgoing[]): void;
  /** Ends the life of a member. @param keep groups of writes that survive beyond what is durable */
  crash(sid: number, keep: number): void;
  /** Ends a life whose storage has refused a write, or is damaged. */
  onStorageError(life: Life, error: Error): void;
  /** Ends a life that its core has aborted; the next one begins from storage. */
  onAbort(life: Life): void;
}

/** The start of a life. */
export interface LifeStart {
  readonly sid: Sid;
  readonly number: number;
  readonly index: number;
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly disk: SimDisk;
  readonly clock: SimClock;
}

/** Whether the error comes from storage, which refused a write or is damaged, and so is no fault of the core. */
const isStorageError = (error: unknown): error is Error =>
  error instanceof StorageError || error instanceof FencedError;

/** One life. Invariant: once it is not `alive`, it does nothing more and sends nothing. */
export class Life implements LifeView, GateOwner, AlarmOwner, ChannelHost {
  readonly sid: Sid;
  readonly number: number;
  readonly index: number;
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly disk: SimDisk;
  readonly gate: OutputGate;
  readonly alarm: MemberAlarm;
  readonly clients: ClientTable;
  readonly links = new Links();
  readonly #clock: SimClock;
  readonly #platform: Platform;
  /** events that arrived while it was paused; null if it runs */
  #backlog: (() => void)[] | null = null;
  alive = true;
  /** whether the core has refused the call being handled */
  refused = false;

  constructor(platform: Platform, { sid, number, index, server, storage, disk, clock }: LifeStart) {
    const { engine, turns, faults, config, invariants } = platform;
    this.#platform = platform;
    this.sid = sid;
    this.number = number;
    this.index = index;
    this.server = server;
    this.storage = storage;
    this.disk = disk;
    this.#clock = clock;
    this.gate = new OutputGate(engine, disk, platform.fsyncMs, this);
    this.alarm = new MemberAlarm(engine, clock, faults, config.tickTimeMs, this);
    this.clients = new ClientTable(this.gate, turns, {
      onRead: () => invariants.readiness.reads(this),
      onAnswer: (token, asked, answer) => platform.observer.onAnswer(this, token, asked, answer),
    });
  }

  get durable(): number {
    return this.gate.durable;
  }

  /** Time of its clock; ms. */
  get #now(): number {
    return this.#clock.at(this.#platform.engine.now);
  }

  get isAsleep(): boolean {
    return this.server.asleepSince !== null;
  }

  // ── inputs ───────────────────────────────────────────────────────────────

  /** Feeds an input to the core. @returns the replies of the effects */
  step(input: ServerInput): PeerMessage[] {
    let replies: PeerMessage[] = [];
    this.#guard(() => {
      replies = this.#run(this.server.step(this.#now, input));
    });
    return replies;
  }

  /** Runs one turn of client requests; a paused member runs it when it continues. */
  turn(ask: (server: EnsembleServer, now: number) => void): void {
    this.whenRunning(() => {
      this.#guard(() => {
        const now = this.#now;
        ask(this.server, now);
        this.#run(this.server.flush(now));
      });
    });
  }

  /** Runs an event of this life: after the pause if it is paused, never once it has ended. */
  whenRunning(run: () => void): void {
    if (!this.alive) return;
    if (this.#backlog !== null) this.#backlog.push(run);
    else run();
  }

  /** Reports a broken link to the core. */
  linkBroken(peer: Sid, generation: number): void {
    this.whenRunning(() => this.step({ type: "linkBroken", peer, generation }));
  }

  /** Calls a peer that no longer holds a channel of this life: a call without messages shows whether it has crashed. */
  channelReleased(peer: Sid): void {
    this.whenRunning(() => {
      const { engine, network } = this.#platform;
      const { zab } = this.server;
      const generation = zab.links.get(peer)?.generation ?? 0;
      const callee = this.links.find(peer, generation)?.callee;
      if (zab.frozen || callee === undefined) return;
      if (callee.alive) this.#platform.post(this, [{ to: peer, generation, messages: [] }]);
      else if (!network.isCut(this.sid, peer)) {
        // The runtime, which has noticed the end of the peer, fails the call as soon as the output gate lets it out.
        this.gate.let(() => engine.after(0, () => this.linkBroken(peer, generation)));
      }
    });
  }

  /** Releases the channels that it holds of other lives, which are informed after a network delay. */
  releaseChannels(): void {
    const { engine, network } = this.#platform;
    for (const callee of this.links.held)
      engine.after(network.delay(), () => {
        // not if it has called again in the meantime
        if (!this.alive || !this.links.held.has(callee)) callee.channelReleased(this.sid);
      });
    this.links.held.clear();
  }

  /** Handles a connection that its client has closed. */
  disconnected(token: Token): void {
    if (!this.clients.connections.delete(token)) return;
    this.whenRunning(() => this.server.forget(token));
  }

  onAlarm(): void {
    this.whenRunning(() => {
      this.alarm.shell.rang();
      this.step({ type: "tick" });
      if (this.alive) this.#guard(() => this.storage.scrub(SCRUB_BYTES));
    });
  }

  onNeedlessAlarm(): void {
    this.whenRunning(() => this.step({ type: "tick" }));
  }

  onSynced(): void {
    this.#platform.invariants.synced(this);
  }

  onDurable(): void {
    this.whenRunning(() => {
      const seq = this.gate.open();
      if (seq !== undefined && this.alive) this.step({ type: "persisted", seq });
    });
  }

  // ── pause and end ────────────────────────────────────────────────────────

  get isPaused(): boolean {
    return this.#backlog !== null;
  }

  /** Pauses it with its memory; events wait until it resumes. */
  pause(): void {
    this.#backlog ??= [];
  }

  resume(): void {
    const backlog = this.#backlog ?? [];
    this.#backlog = null;
    for (const run of backlog) this.whenRunning(run);
  }

  /** Ends the life, which breaks the calls open at it. */
  end(): void {
    this.alive = false;
    this.gate.close();
    for (const fail of this.links.answering) fail();
    this.releaseChannels();
    this.clients.end();
  }

  // ── effects ──────────────────────────────────────────────────────────────

  /** Ends the instance if `run` throws, like the shell. An error that is not from storage is a fault of the core. */
  #guard(run: () => void): void {
    const { turns } = this.#platform;
    turns.begin();
    try {
      guarded(run, (error) => {
        if (error instanceof TreeDamagedError) this.storage.setTreeAside(error.message);
        if (isStorageError(error)) this.#platform.onStorageError(this, error);
      });
    } catch (error) {
      if (!isStorageError(error)) throw error;
    } finally {
      turns.end();
    }
    if (this.alive) {
      this.#platform.pressure.squeeze(this.server.tree);
      this.alarm.shell.ensure(this.server.deadline);
    }
    turns.settle();
  }

  /** Runs the effects in order; messages to one peer between two writes are sent in one call. @returns the replies */
  #run(effects: readonly ServerEffect[]): PeerMessage[] {
    const platform = this.#platform;
    const replies: PeerMessage[] = [];
    const outgoing: Outgoing[] = [];
    platform.invariants.stepped(this);
    for (const effect of effects) {
      const order = platform.observer.crashOrder(this, effect);
      if (order?.when === "before") {
        this.#post(outgoing);
        platform.crash(this.sid, order.keep);
      }
      if (!this.alive) return [];
      this.#runOne(effect, replies, outgoing);
      if (order?.when === "after" && this.alive) {
        this.#post(outgoing);
        platform.crash(this.sid, order.keep);
      }
      if (!this.alive) return [];
    }
    this.#post(outgoing);
    if (this.storage.isQuarantined && this.server.zab.hasConfirmedTree) {
      this.storage.dropQuarantine();
      this.gate.syncSoon();
    }
    if (this.server.checkpointDue(this.storage.logBytes)) this.#checkpoint();
    return replies;
  }

  #post(outgoing: Outgoing[]): void {
    if (outgoing.length === 0) return;
    this.#platform.post(this, outgoing);
    outgoing.length = 0;
  }

  #runOne(effect: ServerEffect, replies: PeerMessage[], outgoing: Outgoing[]): void {
    const platform = this.#platform;
    const { engine, invariants } = platform;
    switch (effect.type) {
      case "persist":
        this.#post(outgoing);
        invariants.persisting(this, effect.writes);
        this.storage.persist(effect.writes);
        this.gate.persisted(effect.seq);
        invariants.persisted(this);
        this.gate.syncSoon();
        return;
      case "send": {
        const { to, generation, message } = effect;
        invariants.saying(this, to, message);
        const waiting = outgoing.find((each) => each.to === to && each.generation === generation);
        if (waiting !== undefined) waiting.messages.push(message);
        else outgoing.push({ to, generation, messages: [message] });
        return;
      }
      case "reply":
        invariants.saying(this, null, effect.message);
        replies.push(effect.message);
        return;
      case "refuse":
        this.refused = true;
        return;
      case "respond":
        this.clients.respond(effect.token, effect.xid, effect.answer);
        return;
      case "notify": {
        const { token, event, zxid } = effect;
        if (!this.clients.notify(token, event, zxid)) platform.observer.onNotify(token, event);
        return;
      }
      case "hold":
        engine.after(effect.ms, () => this.whenRunning(() => this.step({ type: "released" })));
        return;
      case "yield":
        engine.after(this.#yieldMs(), () => this.whenRunning(() => this.step({ type: "yielded" })));
        return;
      case "checkpoint":
        this.#checkpoint();
        replies.push(...this.#run(this.server.checkpointed(this.#now)));
        return;
      case "reloadTree":
        replies.push(...this.#run(this.server.loadTree(this.#now, this.storage.loadTree())));
        return;
      case "trace":
        platform.observer.onTrace(this, effect.event);
        return;
      case "dropClients":
        this.clients.drop((token) => this.server.forget(token));
        return;
      case "disconnect":
        this.clients.disconnect(effect.token, effect.code);
        return;
      case "asleep":
        this.alarm.shell.only(this.server.deadline);
        this.releaseChannels();
        platform.observer.onAsleep(this);
        return;
      case "wakeOwner":
        platform.observer.onWakeOwner(this, effect.parked);
        return;
      case "abort":
        platform.onAbort(this);
        return;
      default:
        assertNever(effect);
    }
  }

  #yieldMs(): number {
    const { engine, yieldMs } = this.#platform;
    return yieldMs[1] === 0 ? 0 : engine.between(yieldMs);
  }

  #checkpoint(): void {
    const { tree, logRetention, zab } = this.server;
    const base = this.storage.log.base.zxid;
    this.storage.checkpoint(tree.takeChanges(this.storage.scrubbed), logRetention, zab.treeConfirmed);
    this.#platform.invariants.checkpointed(this, base);
    this.gate.syncSoon();
  }
}
