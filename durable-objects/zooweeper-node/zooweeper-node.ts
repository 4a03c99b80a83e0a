/**
 * `ZooWeeperNode`: one member of an ensemble as a Durable Object. Its name is `{ensemble}/{sid}`.
 *
 * It decides nothing. It feeds calls of peers, requests of clients and alarms to the core, and runs the returned effects in
 * order. Its promises pass the output gate, so they are sent only once they are durable.
 */
import { DurableObject } from "cloudflare:workers";
import { assert } from "../../core/assert.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import { found } from "../../core/server/storage-backend.ts";
import { asSid, isFoundingSize, type Sid } from "../../core/zab/membership.ts";
import type { ReadRequest, SessionId, WriteResult } from "../../core/znode/types.ts";
import { ALARM_DEPTH, OPENING_CALL_DEPTH_MAX, REQUEST_DEPTH } from "../shared/config.ts";
import { CostCounter } from "../shared/counters.ts";
import { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import { FaultGate } from "../shared/fault-gate.ts";
import type { FaultName, FaultView } from "../shared/faults.ts";
import { type ChannelHost, ChannelStub } from "../shared/peer-channel.ts";
import type { LinkListener, PeerStub } from "../shared/peer-link.ts";
import { RootEvents } from "../shared/root-events.ts";
import { NO_RETRIES } from "../shared/stub-options.ts";
import { failure, success } from "./answers.ts";
import { ClientCount } from "./client-count.ts";
import { type NodeEnv, serverConfigOf } from "./config.ts";
import { FaultOrders } from "./fault-orders.ts";
import { Incarnation } from "./incarnation.ts";
import { Lifecycle, messageOf } from "./lifecycle.ts";
import { PeerCalls, type PeerChannel, type Released } from "./peer-calls.ts";
import { Requests } from "./requests.ts";
import type {
  Answer,
  NodeConfig,
  NodeFault,
  NodeStatus,
  ReadInput,
  ReadResult,
  Waited,
  WriteInput,
  ZooWeeperNodeRpc,
} from "./rpc.ts";
import { EffectRunner } from "./run-effects.ts";
import { Sleep } from "./sleep.ts";
import { Sockets } from "./sockets.ts";
import { SqliteBackend } from "./sqlite-backend.ts";
import { StatusReport } from "./status.ts";
import { type WaitInput, Waits } from "./waits.ts";

/**
 * The entries of the object: RPC methods, sockets and the alarm. Each passes the {@link Lifecycle} and is handled by one of
 * the parts.
 * Invariant: no entry acts before the lifecycle has admitted it, except to report the state of a sleeping member.
 * @source ZooKeeper's `QuorumPeer` and `ServerCnxnFactory`, without the decisions
 */
export class ZooWeeperNode extends DurableObject<NodeEnv> implements ZooWeeperNodeRpc {
  readonly #backend: SqliteBackend;
  readonly #alarm: DeadlineAlarm;
  readonly #cost: CostCounter;
  readonly #faults: FaultGate;
  readonly #roots: RootEvents;
  readonly #lifecycle: Lifecycle;
  readonly #requests: Requests;
  readonly #waits: Waits;
  readonly #sockets: Sockets;
  readonly #peers: PeerCalls;
  readonly #status: StatusReport;
  readonly #sleep: Sleep;
  readonly #faultOrders: FaultOrders;

  constructor(state: DurableObjectState, env: NodeEnv) {
    super(state, env);
    const backend = new SqliteBackend(state.storage);
    const alarm = new DeadlineAlarm(state.storage, serverConfigOf(env).tickTimeMs);
    const cost = new CostCounter(JSON.parse(backend.value("counters") ?? "{}"));
    const faults = new FaultGate({
      enabled: env.FAULTS === "on",
      read: () => backend.value("faults"),
      write: (text) => backend.setValue("faults", text),
      healed: (fault) => {
        if (fault.fault === "corrupt") backend.repair(fault);
      },
      changed: (began, ended) => this.#faultOrders.record(began, ended),
    });
    const lifecycle = new Lifecycle({
      state,
      backend,
      alarm,
      faults,
      cost,
      begin: (identity) => this.#begin(identity),
      run: (incarnation, now, effects) => effectRunner.run(incarnation, now, effects),
    });
    const requests = new Requests(lifecycle);
    const clients = new ClientCount(lifecycle, faults);
    const waits = new Waits(lifecycle, requests, clients);
    const sockets = new Sockets(state, lifecycle, requests, clients, faults);
    const roots = new RootEvents(() => alarm.ensure(Date.now()), OPENING_CALL_DEPTH_MAX);
    const peers = new PeerCalls(lifecycle, alarm, faults, roots);
    const status = new StatusReport(backend, faults, cost, roots);
    const sleep = new Sleep({
      env,
      backend,
      alarm,
      faults,
      roots,
      lifecycle,
      requests,
      waits,
      peers,
      status,
    });
    const effectRunner = new EffectRunner({
      state,
      faults,
      lifecycle,
      requests,
      waits,
      sockets,
      peers,
      sleep,
    });
    this.#backend = backend;
    this.#alarm = alarm;
    this.#cost = cost;
    this.#faults = faults;
    this.#roots = roots;
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    this.#waits = waits;
    this.#sockets = sockets;
    this.#peers = peers;
    this.#status = status;
    this.#sleep = sleep;
    this.#faultOrders = new FaultOrders({ state, env, backend, alarm, faults, roots, lifecycle });
    // A sleeping or killed node does nothing at its start, so possibly only its alarm starts it later.
    void alarm.restore(sleep.idleDeadline);
  }

  // ── peers ────────────────────────────────────────────────────────────────

  #begin(identity: NodeConfig): Incarnation {
    const lifecycle = this.#lifecycle;
    const listener: LinkListener<PeerMessage> = {
      returned: (peer, generation, { boot, v: version, messages }) =>
        lifecycle.feed({ type: "returned", peer: asSid(peer), generation, boot, version, messages }),
      broken: (peer, generation) => lifecycle.feed({ type: "linkBroken", peer: asSid(peer), generation }),
    };
    return new Incarnation(identity, {
      backend: this.#backend,
      config: serverConfigOf(this.env),
      connect: (peer) => this.#connect(identity, peer),
      listener,
      faults: () => this.#faults.list(),
      send: (socket, text) => this.#sockets.streams.send(socket, text),
    });
  }

  #connect({ ensemble }: NodeConfig, peer: Sid): PeerStub<PeerMessage> {
    const namespace = this.env.ZOOWEEPER_NODE;
    const connect = (): ChannelHost =>
      namespace.get(namespace.idFromName(`${ensemble}/${peer}`), NO_RETRIES) as unknown as ChannelHost;
    return this.#faults.wrap(peer, new ChannelStub<PeerMessage>(connect, this.#roots));
  }

  /** Opens a channel for a peer. @param depth depth of the calling event; undefined from an earlier version */
  channel(depth?: number): PeerChannel {
    return this.#peers.channel(depth);
  }

  /** A call of a peer of an earlier version, which stays open while this incarnation lives and is awake. */
  park(from: number, depth?: number): Promise<Released | undefined> {
    return this.#peers.park(from, depth);
  }

  // ── requests ─────────────────────────────────────────────────────────────

  bootstrap(config: NodeConfig): Promise<Answer<{ readonly created: boolean }>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#bootstrap(config));
  }

  async #bootstrap(config: NodeConfig): Promise<Answer<{ readonly created: boolean }>> {
    this.#alarm.check();
    const lifecycle = this.#lifecycle;
    lifecycle.refuseIfKilled();
    lifecycle.checkDatabase();
    const { ensemble, sid, size } = config;
    if (!isFoundingSize(size) || !Number.isInteger(sid) || sid < 1 || sid > size) {
      return failure("BAD_ARGUMENTS", "an ensemble has 1, 3, 5, 7 or 9 members, numbered from 1");
    }
    const stored = lifecycle.identity;
    if (stored !== undefined && stored.size !== size) {
      return failure("ENSEMBLE_EXISTS", `the ensemble has ${stored.size} nodes`);
    }
    // The Worker calls this whenever it does not know the ensemble; it must not wake a sleeping member.
    if (stored !== undefined && this.#sleep.isAsleep) {
      return { ok: true, zxid: this.#status.last?.appliedZxid ?? "0x0", value: { created: false } };
    }
    if (stored === undefined) {
      this.#backend.transaction(() => {
        found(this.#backend);
        this.#backend.setValue("config", JSON.stringify({ ensemble, sid, size }));
      });
    }
    const incarnation = await lifecycle.enter();
    assert(incarnation !== undefined, "a founded member starts");
    return success(incarnation, { created: stored === undefined });
  }

  write(input: WriteInput): Promise<Answer<WriteResult>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#requests.write(input));
  }

  read<Request extends ReadRequest>(input: ReadInput<Request>): Promise<Answer<ReadResult<Request["type"]>>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#requests.read(input));
  }

  openSession(
    timeoutMs: number,
  ): Promise<Answer<{ readonly session: SessionId; readonly timeoutMs: number }>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#requests.openSession(timeoutMs));
  }

  touchSession(session: SessionId, background = false): Promise<Answer<{ readonly timeoutMs: number }>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#requests.touchSession(session, background));
  }

  closeSession(session: SessionId): Promise<Answer<null>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#requests.closeSession(session));
  }

  waitForChange(input: WaitInput): Promise<Answer<Waited>> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#waits.waitForChange(input));
  }

  status(depth?: number): Promise<NodeStatus> {
    this.#alarm.check();
    return this.#roots.answer(depth, async () => {
      const status = this.#statusInSleep() ?? (await this.#statusNow());
      return this.#faultOrders.isLosing ? { ...status, serving: false } : status;
    });
  }

  #statusInSleep(): NodeStatus | undefined {
    const { killed, paused } = this.#faults;
    return !killed && !paused && this.#sleep.isAsleep ? this.#status.last : undefined;
  }

  async #statusNow(): Promise<NodeStatus> {
    const incarnation = await this.#lifecycle.load();
    if (incarnation === undefined) throw new Error("NODE_DOWN: this node was never founded");
    return this.#status.of(incarnation);
  }

  // ── sockets ──────────────────────────────────────────────────────────────

  override fetch(request: Request): Promise<Response> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#sockets.fetch(request));
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): Promise<void> {
    this.#alarm.check();
    return this.#roots.run(ALARM_DEPTH, () => this.#sockets.receive(socket, message));
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#alarm.check();
    this.#sockets.close(socket, code === 1005 || code === 1006 ? 1000 : code, reason);
  }

  override webSocketError(socket: WebSocket): void {
    this.#sockets.forget(socket);
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Never throws: the platform would call it again, with increasing pauses. */
  override alarm(): Promise<void> {
    this.#alarm.rang();
    return this.#roots.run(ALARM_DEPTH, () => this.#onAlarm());
  }

  async #onAlarm(): Promise<void> {
    const lifecycle = this.#lifecycle;
    if (this.#faults.killed) {
      // When a kill with a time limit ends, possibly only the alarm restarts the member.
      this.#alarm.ensure(this.#faults.nextEnd);
      return;
    }
    if (lifecycle.stoppedUntil !== undefined) {
      this.#alarm.ensure(lifecycle.stoppedUntil);
      return;
    }
    this.#cost.alarms += 1;
    if (this.#sleep.onDisk !== undefined && Date.now() < this.#sleep.idleDeadline) {
      this.#alarm.ensure(this.#sleep.idleDeadline);
      return;
    }
    try {
      const incarnation = await lifecycle.load();
      if (incarnation === undefined) return;
      this.#sockets.closeDead();
      if (!this.#faults.paused) incarnation.upkeep(Date.now());
      lifecycle.feed({ type: "tick" });
      lifecycle.scrub();
    } catch (error) {
      console.error(JSON.stringify({ event: "alarm", node: this.ctx.id.name, reason: messageOf(error) }));
      // Possibly nothing else restarts a member that could not start.
      this.#alarm.ensure(Date.now() + serverConfigOf(this.env).tickTimeMs);
    }
  }

  // ── faults ───────────────────────────────────────────────────────────────

  fault(order: "kill" | "revive" | "crash" | NodeFault): Promise<number | undefined> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#faultOrders.fault(order));
  }

  heal(fault?: FaultName): Promise<readonly FaultName[]> {
    return this.#roots.run(REQUEST_DEPTH, () => this.#faultOrders.heal(fault));
  }

  async faults(): Promise<readonly FaultView[]> {
    this.#alarm.check();
    return this.#faults.list();
  }
}
