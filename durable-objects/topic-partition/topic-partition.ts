/**
 * `TopicPartition`: the object with one partition's log. Its name is `{ensemble}/{topicId}/{partition}`.
 *
 * It runs one {@link Replica}: calls become inputs, and the effects are run in order. Answers and frames pass the output
 * gate, so no record is acknowledged or delivered before it is durable.
 */
import { DurableObject } from "cloudflare:workers";
import { assertNever, must } from "../../core/assert.ts";
import { PARTITION_CONFIG, type PartitionConfig, validatePartitionConfig } from "../../core/broker/config.ts";
import type { AppendRequest, AppendResult, IdempotencyKey, Leadership } from "../../core/broker/partition.ts";
import { metaTextOf, metaWrite } from "../../core/broker/partition-rows.ts";
import { Replica } from "../../core/broker/replica.ts";
import type {
  LogBounds,
  OffsetOfTime,
  PartitionAnswer,
  PartitionStatus,
  ReadAnswer,
  ReadRequest,
  ReplicaAnswer,
  ReplicaCall,
  ReplicaEffect,
  ReplicaInput,
} from "../../core/broker/replica-messages.ts";
import type { BrokerRpc } from "../broker/rpc.ts";
import { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import { FaultGate } from "../shared/fault-gate.ts";
import type { FaultName, FaultView } from "../shared/faults.ts";
import { guarded } from "../shared/guarded.ts";
import { tryClose } from "../shared/sockets.ts";
import { StartGate } from "../shared/start-gate.ts";
import { NO_RETRIES } from "../shared/stub-options.ts";
import { withTimeout } from "../shared/timeout.ts";
import type { PartitionFault, TopicPartitionRpc } from "./rpc.ts";
import { SqlitePartition } from "./sqlite-partition.ts";
import { Tails } from "./tails.ts";

/** A call that waits for its answer. */
interface Caller {
  readonly resolve: (answer: ReplicaAnswer) => void;
  readonly reject: (error: Error) => void;
  /** timer of a long poll */
  timer?: ReturnType<typeof setTimeout>;
}

/**
 * The object of one partition.
 * Invariant: the effects of a step are run in order, before the next step; after an error in a step or in its effects there
 * is no next step, and the object restarts from storage.
 */
export class TopicPartition extends DurableObject<Env> implements TopicPartitionRpc {
  readonly #config: PartitionConfig = validatePartitionConfig(PARTITION_CONFIG);
  readonly #backend: SqlitePartition;
  readonly #gate: StartGate;
  readonly #alarm: DeadlineAlarm;
  readonly #faults: FaultGate;
  readonly #tails: Tails;
  /** undefined until the start gate is open */
  #replica: Replica | undefined;
  /** *map id of a call → its caller* */
  readonly #callers = new Map<number, Caller>();
  #calls = 0;
  /** tails that wait to be admitted; they count as open, so that concurrent ones do not exceed the limit */
  #upgrades = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#backend = new SqlitePartition(ctx.storage);
    this.#gate = new StartGate(async () => this.#load());
    this.#alarm = new DeadlineAlarm(ctx.storage, this.#config.alarmSlackMs);
    this.#faults = new FaultGate({
      enabled: env.FAULTS === "on",
      read: () => this.#storedFaults(),
      write: (text) => this.#backend.write([{ type: "create" }, metaWrite("faults", text)]),
      changed: () => this.#resetAlarm(),
    });
    this.#tails = new Tails({
      ctx,
      perTurn: this.#config.tailsPerTurn,
      later: (run) => setTimeout(() => this.#guarded(run), 0),
      read: (offset) => this.#loaded.readAt(offset, this.#config.tailFrameBytesMax),
    });
    // Sets a lost alarm again as soon as the object is in memory. The next entry reports why loading failed.
    if (!this.#faults.killed) this.#gate.pass().catch(() => undefined);
  }

  /** The stored faults; undefined if there are none, or if the rows cannot be read, which calls then report. */
  #storedFaults(): string | undefined {
    try {
      return metaTextOf(this.#backend, "faults") ?? undefined;
    } catch {
      return undefined;
    }
  }

  #load(): void {
    const [, topicId, partition] = this.ctx.id.name?.split("/") ?? [];
    const replica = new Replica({
      backend: this.#backend,
      config: this.#config,
      identity:
        topicId === undefined || partition === undefined
          ? undefined
          : { topicId, partition: Number(partition) },
      brokerCount: Number(this.env.BROKER_COUNT),
    });
    this.#replica = replica;
    const deadline = replica.deadline(this.#faults.now());
    if (deadline !== undefined) void this.#alarm.restore(this.#alarmTimeOf(deadline));
  }

  /** Converts a deadline to the runtime's clock, which the fault `skew` does not change. @param deadline by this object's clock */
  #alarmTimeOf(deadline: number): number {
    return deadline - this.#faults.skewMs;
  }

  /**
   * Sets the alarm again after a change of faults: the clock may have changed, or an alarm fired while the partition was
   * killed.
   */
  #resetAlarm(): void {
    if (this.#faults.killed) return;
    if (this.#replica === undefined) {
      // loading sets the alarm; the next entry reports why it failed
      this.#gate.pass().catch(() => undefined);
      return;
    }
    const deadline = this.#replica.deadline(this.#faults.now());
    if (deadline !== undefined) this.#alarm.ensure(this.#alarmTimeOf(deadline));
  }

  get #loaded(): Replica {
    return must(this.#replica, "the start gate is open");
  }

  /** Called by every entry. @throws Error while the partition is killed */
  async #enter(): Promise<void> {
    this.#alarm.check();
    if (this.#faults.active) {
      await this.#faults.running();
      if (this.#faults.killed)
        throw new Error(`PARTITION_DOWN: the partition is killed ${this.#faults.killedFor}`);
    }
    if (!this.#gate.open) await this.#gate.pass();
  }

  // ── calls ────────────────────────────────────────────────────────────────

  leaderAndIsr(leadership: Leadership): Promise<PartitionAnswer<LogBounds>> {
    return this.#call({ type: "leaderAndIsr", leadership });
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return this.#call({ type: "append", request });
  }

  claim(input: { key: IdempotencyKey; leaderEpoch: number }): Promise<PartitionAnswer<object>> {
    return this.#call({ type: "claim", ...input });
  }

  read(request: ReadRequest): Promise<PartitionAnswer<ReadAnswer>> {
    return this.#call({ type: "read", request });
  }

  bounds(leaderEpoch: number): Promise<PartitionAnswer<LogBounds>> {
    return this.#call({ type: "bounds", leaderEpoch });
  }

  offsetOfTime(input: { timestampMs: number; leaderEpoch: number }): Promise<PartitionAnswer<OffsetOfTime>> {
    return this.#call({ type: "offsetOfTime", ...input });
  }

  status(): Promise<PartitionAnswer<PartitionStatus>> {
    return this.#call({ type: "status", tails: this.#tails.count });
  }

  remove(input: { topicId: string; controllerEpoch: number }): Promise<PartitionAnswer<object>> {
    return this.#call({ type: "remove", ...input });
  }

  /** Passes a call to the replica. Each type of call has one type of answer. */
  async #call<T extends ReplicaAnswer>(call: ReplicaCall): Promise<T> {
    await this.#enter();
    const id = ++this.#calls;
    return new Promise<T>((resolve, reject) => {
      this.#callers.set(id, { resolve: resolve as Caller["resolve"], reject });
      try {
        this.#step({ type: "call", id, call });
      } catch (error) {
        this.#callers.delete(id);
        throw error;
      }
    });
  }

  /** `GET /tail?offset=N&epoch=N`, upgraded: frames of `encodeTailFrame`, and JSON text for other events. */
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname !== "/tail" || request.headers.get("Upgrade") !== "websocket")
      return new Response(null, { status: 404 });
    const offset = Number(url.searchParams.get("offset"));
    const leaderEpoch = Number(url.searchParams.get("epoch") ?? -1);
    await this.#enter();
    if (this.#tails.count + this.#upgrades >= this.#config.tailsMax) this.#tails.closeSilent();
    const tails = this.#tails.count + this.#upgrades;
    this.#upgrades += 1;
    let answer: PartitionAnswer<object>;
    try {
      answer = await this.#call<PartitionAnswer<object>>({ type: "tail", offset, leaderEpoch, tails });
    } finally {
      this.#upgrades -= 1;
    }
    if (!answer.ok) return Response.json(answer, { status: 409 });
    return this.#guarded(() => this.#tails.accept(offset));
  }

  override async webSocketMessage(socket: WebSocket): Promise<void> {
    await this.#enter();
    this.#guarded(() => this.#tails.acknowledge(socket));
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    tryClose(socket, code === 1005 || code === 1006 ? 1000 : code, reason);
  }

  override async alarm(): Promise<void> {
    this.#alarm.rang();
    if (this.#faults.killed) {
      this.#alarm.ensure(this.#faults.nextEnd);
      return;
    }
    await this.#enter();
    this.#step({ type: "alarm" });
  }

  // ── the step ─────────────────────────────────────────────────────────────

  /** Runs an input, and the outcomes of its writes. @throws what a step or an effect threw; the object has then ended */
  #step(input: ReplicaInput): void {
    this.#guarded(() => {
      for (let next: ReplicaInput | undefined = input; next !== undefined; )
        next = this.#run(this.#loaded.step(this.#faults.now(), next));
    });
  }

  /** Runs a part of a step. An error ends the object: its callers get an error, and the next call restarts it from storage. */
  #guarded<T>(run: () => T): T {
    return guarded(run, (error) => {
      const reason = error instanceof Error ? error.message : String(error);
      console.error(JSON.stringify({ event: "abort", partition: this.ctx.id.name, reason }));
      this.#replica = undefined;
      this.ctx.abort(reason);
    });
  }

  /** Runs effects in order. @returns the outcome of the write at the end of the list; undefined if there is none */
  #run(effects: readonly ReplicaEffect[]): ReplicaInput | undefined {
    let outcome: ReplicaInput | undefined;
    for (const effect of effects) {
      switch (effect.type) {
        case "persist":
          outcome = this.#persist(effect.writes);
          break;
        case "respond":
          this.#answer(effect.id, (caller) => caller.resolve(effect.answer));
          break;
        case "reject":
          this.#answer(effect.id, (caller) => caller.reject(new Error(effect.message)));
          break;
        case "sync":
          this.#sync();
          break;
        case "gather":
          setTimeout(() => this.#step({ type: "gathered" }), 0);
          break;
        case "pollTimer":
          this.#setPollTimer(effect.id, effect.ms);
          break;
        case "endTimer":
          setTimeout(() => this.#step({ type: "endTimer" }), effect.ms);
          break;
        case "deadline":
          this.#alarm.ensure(this.#alarmTimeOf(effect.atMs));
          break;
        case "noDeadline":
          this.#alarm.only(Number.POSITIVE_INFINITY);
          break;
        case "findLeader":
          void this.#findLeader(effect.broker, effect.topicId, effect.partition);
          break;
        case "wakeTails":
          this.#tails.wake();
          break;
        case "tellTails":
          this.#tails.tell(effect.event);
          break;
        case "closeTails":
          this.#tails.closeAll(effect.code, effect.reason);
          break;
        case "removeAll":
          this.#removeAll(effect.id);
          break;
        default:
          assertNever(effect);
      }
    }
    return outcome;
  }

  #persist(writes: (ReplicaEffect & { type: "persist" })["writes"]): ReplicaInput {
    try {
      this.#backend.write(writes);
      return { type: "persisted" };
    } catch (error) {
      return { type: "persistFailed", message: error instanceof Error ? error.message : "the write failed" };
    }
  }

  #answer(id: number, answer: (caller: Caller) => void): void {
    const caller = this.#callers.get(id);
    if (caller === undefined) return;
    this.#callers.delete(id);
    if (caller.timer !== undefined) clearTimeout(caller.timer);
    if (this.#faults.active) this.#faults.stored(() => answer(caller));
    else answer(caller);
  }

  #sync(): void {
    const synced = (): void => this.#step({ type: "synced" });
    const stored = (): void => (this.#faults.active ? this.#faults.stored(synced) : synced());
    // a failed write resets the object, which fails every caller
    this.ctx.storage.sync().then(stored, stored);
  }

  #setPollTimer(id: number, ms: number): void {
    const caller = this.#callers.get(id);
    if (caller !== undefined) caller.timer = setTimeout(() => this.#step({ type: "pollExpired", id }), ms);
  }

  #removeAll(id: number): void {
    this.ctx.storage.deleteAll().then(
      () => this.#step({ type: "removed", id }),
      (error: unknown) =>
        this.#answer(id, (caller) =>
          caller.reject(error instanceof Error ? error : new Error("the rows were not deleted")),
        ),
    );
  }

  async #findLeader(broker: number, topicId: string, partition: number): Promise<void> {
    const [ensemble] = this.ctx.id.name?.split("/") ?? [];
    const { BROKER } = this.env;
    // the runtime's stub type drops brands and unions; only plain data is sent
    const stub = BROKER.get(BROKER.idFromName(`${ensemble}/${broker}`), NO_RETRIES) as unknown as BrokerRpc;
    let leadership: Leadership | null = null;
    try {
      const call = this.#faults.call(broker, () => stub.leadershipOf(topicId, partition));
      const answer = await withTimeout(call, this.#config.findLeaderMs);
      if (answer.ok) leadership = answer.value;
    } catch {
      // continues with the next broker
    }
    this.#step({ type: "leaderFound", leadership });
  }

  // ── faults ───────────────────────────────────────────────────────────────

  async fault(fault: PartitionFault): Promise<void> {
    if (this.env.FAULTS !== "on") throw new Error("faults are off");
    if (fault.fault !== "crash") {
      const { ttlMs, ...lasting } = fault;
      this.#faults.inflict(lasting, ttlMs, 0);
      if (fault.fault !== "kill") return;
      await this.ctx.storage.sync();
    }
    this.ctx.abort(
      fault.fault === "kill" ? "PARTITION_DOWN: the partition was killed" : "the partition crashed",
    );
  }

  async heal(fault?: FaultName): Promise<readonly FaultName[]> {
    if (this.env.FAULTS !== "on") throw new Error("faults are off");
    return this.#faults.heal(fault);
  }

  async faults(): Promise<readonly FaultView[]> {
    return this.#faults.list();
  }
}
