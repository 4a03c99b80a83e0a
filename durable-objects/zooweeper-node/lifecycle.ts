/**
 * The start and the end of a node's incarnation. Every entry of the object and every step of the core passes through here,
 * so that an error in a step ends the incarnation before wrong state becomes visible.
 */
import { assert } from "../../core/assert.ts";
import { TreeDamagedError } from "../../core/damaged-error.ts";
import { SCRUB_BYTES } from "../../core/server/config.ts";
import type { ServerEffect, ServerInput } from "../../core/server/effects.ts";
import {
  ApplyError,
  type Failure,
  isPassed,
  noteFailure,
  stoppedUntil,
  wordsOf,
} from "../../core/server/failure.ts";
import type { Token } from "../../core/server/ids.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { CostCounter } from "../shared/counters.ts";
import type { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import { guarded } from "../shared/guarded.ts";
import { StartGate } from "../shared/start-gate.ts";
import type { Incarnation } from "./incarnation.ts";
import type { NodeConfig } from "./rpc.ts";
import { isUnreadable } from "./sqlite/sqlite-error.ts";
import type { SqliteBackend } from "./sqlite-backend.ts";

/** The interface of the object to its lifecycle. */
export interface LifecyclePorts {
  readonly state: DurableObjectState;
  readonly backend: SqliteBackend;
  readonly alarm: DeadlineAlarm;
  readonly faults: FaultGate;
  readonly cost: CostCounter;
  /** Recovers the member. @throws ApplyError */
  begin(identity: NodeConfig): Incarnation;
  /** Runs the effects of one step. @returns the messages of its replies */
  run(incarnation: Incarnation, now: number, effects: readonly ServerEffect[]): PeerMessage[];
}

/**
 * Owns the incarnation of the member in memory.
 * Invariant: only the current incarnation takes steps, one after the other; a step that throws is its last one.
 * @source Candea and Fox, Crash-Only Software (HotOS 2003); a member that stops: decision 0016
 */
export class Lifecycle {
  readonly #ports: LifecyclePorts;
  readonly #gate = new StartGate(() => this.#start());
  #current: Incarnation | undefined;
  /** the recorded failure to apply a txn; undefined if there is none */
  #failure: Failure | undefined;
  /** whether the incarnation has ended, and the reason for it is being stored */
  #isEnding = false;
  #tokens = 0;

  constructor(ports: LifecyclePorts) {
    this.#ports = ports;
    const failure = ports.backend.value("failure");
    if (failure !== undefined) this.#failure = (JSON.parse(failure) ?? undefined) as Failure | undefined;
  }

  /** The current incarnation; undefined if it has not started, or has ended. */
  get current(): Incarnation | undefined {
    return this.#current;
  }

  /** Whether the start has begun. */
  get hasBegun(): boolean {
    return this.#gate.entered;
  }

  /** Identity of the member; undefined if it was never founded. */
  get identity(): NodeConfig | undefined {
    const text = this.#ports.backend.value("config");
    return text === undefined ? undefined : (JSON.parse(text) as NodeConfig);
  }

  /** When a stopped member may start again, ms since 1970; undefined if it has not stopped. */
  get stoppedUntil(): number | undefined {
    return this.#current === undefined ? stoppedUntil(this.#failure, Date.now()) : undefined;
  }

  /** Whether the member refuses calls of peers: it is killed, has stopped, or is ending. */
  get refusesPeers(): boolean {
    return this.#ports.faults.killed || this.#isEnding || this.stoppedUntil !== undefined;
  }

  /** A name for a request, a wait or a connection, unique in this incarnation. */
  nextToken(): Token {
    this.#tokens += 1;
    return this.#tokens as Token;
  }

  // ── entry ────────────────────────────────────────────────────────────────

  /** Called by every request. @throws Error that begins with NODE_DOWN; then nothing was done */
  enter(): Promise<Incarnation | undefined> {
    this.#ports.cost.requests += 1;
    return this.load();
  }

  /**
   * Starts the member unless it runs.
   * @returns undefined if it was never founded
   * @throws Error that begins with NODE_DOWN
   */
  async load(): Promise<Incarnation | undefined> {
    const { alarm, faults } = this.#ports;
    alarm.check();
    if (faults.paused) await faults.running();
    this.refuseIfKilled();
    if (this.#current !== undefined) return this.#current;
    if (this.#isEnding) throw new Error("NODE_DOWN: this node is shutting down");
    if (this.#failure !== undefined && this.stoppedUntil !== undefined) {
      const since = new Date(this.#failure.sinceMs).toISOString();
      throw new Error(`NODE_DOWN: this node has stopped: ${wordsOf(this.#failure, since)}`);
    }
    this.checkDatabase();
    if (this.identity === undefined) return undefined;
    try {
      await this.#gate.pass();
    } catch (error) {
      throw new Error(`NODE_DOWN: this node cannot start: ${messageOf(error)}`);
    }
    return this.#current;
  }

  /** @throws Error that begins with NODE_DOWN */
  refuseIfKilled(): void {
    const { faults } = this.#ports;
    if (faults.killed) throw new Error(`NODE_DOWN: this node is killed ${faults.killedFor}`);
  }

  /** @throws Error that begins with NODE_DOWN */
  checkDatabase(): void {
    const { broken } = this.#ports.backend;
    if (broken !== undefined) throw new Error(`NODE_DOWN: this node cannot read its database: ${broken}`);
  }

  async #start(): Promise<void> {
    const { identity } = this;
    assert(identity !== undefined, "a member knows its identity");
    try {
      this.#current = this.#ports.begin(identity);
    } catch (error) {
      if (error instanceof ApplyError) {
        this.#noteFailure(error, this.#ports.backend.readMeta().checkpoint.zxid);
      }
      throw error;
    }
    this.feed({ type: "start" });
  }

  // ── steps ────────────────────────────────────────────────────────────────

  /** Feeds the core one input and runs the effects. @returns the messages of its replies to the caller */
  feed(input: ServerInput): PeerMessage[] {
    const incarnation = this.#current;
    const { faults } = this.#ports;
    if (incarnation === undefined || faults.killed || faults.holds(() => this.feed(input))) return [];
    return this.turn(incarnation, (now) => incarnation.server.step(now, input));
  }

  /**
   * Runs a step of the core and its effects. A violated invariant or a storage failure ends the incarnation; the next one
   * starts from storage.
   * @throws what the step or an effect threw
   */
  turn(incarnation: Incarnation, step: (now: number) => ServerEffect[]): PeerMessage[] {
    return guarded(
      () => this.#takeStep(incarnation, step),
      (error) => this.#fail(incarnation, error),
    );
  }

  /** Checks the next rows of the tree. @throws TreeDamagedError, after it has ended the incarnation */
  scrub(): void {
    const incarnation = this.#current;
    if (incarnation === undefined || this.#ports.faults.paused) return;
    guarded(
      () => incarnation.storage.scrub(SCRUB_BYTES),
      (error) => this.#fail(incarnation, error),
    );
  }

  /** Ends the incarnation, and stores what the next one has to know. */
  #fail(incarnation: Incarnation, error: unknown): void {
    if (error instanceof ApplyError) this.#end(incarnation.server.tree.lastApplied, error);
    else if (error instanceof TreeDamagedError || isUnreadable(error))
      this.#endOnceDurable(error, () => incarnation.setTreeAside(error.message));
    else this.abort(messageOf(error));
  }

  #takeStep(incarnation: Incarnation, step: (now: number) => ServerEffect[]): PeerMessage[] {
    const { faults, alarm } = this.#ports;
    const { server, feed, storage } = incarnation;
    const now = faults.now();
    server.zab.tracing = feed.tracing(now);
    const replies = this.#ports.run(incarnation, now, step(now));
    if (this.#failure !== undefined) this.#forgetFailure(server.tree.lastApplied);
    if (server.checkpointDue(storage.logBytes)) incarnation.checkpoint();
    // Also while asleep: an alarm that fired too early would otherwise be the last one.
    alarm.ensure(server.deadline - faults.skewMs);
    return replies;
  }

  // ── end ──────────────────────────────────────────────────────────────────

  /** Ends the incarnation because of a fault; the caller aborts the object. */
  drop(): void {
    this.#current = undefined;
  }

  /** Ends the incarnation and the object's memory. Writes that are not durable yet are lost. */
  abort(reason: string): void {
    console.error(JSON.stringify({ event: "abort", ensemble: this.#current?.config, reason }));
    this.#current = undefined;
    this.#ports.state.abort(reason);
  }

  #end(applied: Zxid, error: ApplyError): void {
    this.#endOnceDurable(error, () => this.#noteFailure(error, applied));
  }

  /** Ends the incarnation like {@link abort}, once what `store` writes is durable. */
  #endOnceDurable(error: Error, store: () => void): void {
    this.#current = undefined;
    this.#isEnding = true;
    const end = (): void => this.abort(error.message);
    try {
      store();
      this.#ports.state.storage.sync().then(end, end);
    } catch {
      end();
    }
  }

  /** Stores that this member cannot apply the txn after `after`; after the second failure it stops. */
  #noteFailure(error: ApplyError, after: Zxid): void {
    this.#failure = noteFailure(this.#failure, after, error.message, Date.now());
    this.#ports.backend.setValue("failure", JSON.stringify(this.#failure));
  }

  /** Deletes the failure once the tree has passed the txn that could not be applied. */
  #forgetFailure(applied: Zxid): void {
    if (this.#failure === undefined || !isPassed(this.#failure, applied)) return;
    this.#failure = undefined;
    this.#ports.backend.setValue("failure", "null");
  }
}

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
