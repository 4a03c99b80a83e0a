/**
 * Runs the programs of a broker: makes their calls, waits and writes. Programs run concurrently; all decisions are in
 * `core/broker`.
 */
import { assertNever } from "../../core/assert.ts";
import type { BrokerConfig } from "../../core/broker/config.ts";
import type { EnsembleSession } from "../../core/broker/ensemble-session.ts";
import type {
  BrokerStep,
  NodeAnswer,
  NodeCall,
  NodeCallName,
  PartitionCall,
  Program,
  Resumed,
  StepResults,
} from "../../core/broker/program.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { StubOpener } from "../shared/root-events.ts";
import { pause, Waiters, withTimeout } from "../shared/timeout.ts";
import type { TopicPartitionRpc } from "../topic-partition/rpc.ts";
import type { ZooWeeperNodeRpc } from "../zooweeper-node/rpc.ts";
import { randomId } from "./random-id.ts";
import type { BrokerRpc } from "./rpc.ts";

/** The interface of the object to its programs. */
export interface ProgramsPorts {
  readonly id: number;
  readonly config: BrokerConfig;
  readonly session: EnsembleSession;
  /** decides in which events stubs may be opened */
  readonly opener: StubOpener;
  /** opens a new stub, which is called at once */
  readonly connectNode: (sid: number) => ZooWeeperNodeRpc;
  readonly connectBroker: (id: number) => BrokerRpc;
  readonly connectPartition: (topicId: string, partition: number) => TopicPartitionRpc;
  /** whether a partition waits for an answer of this broker: the event may then have any depth */
  readonly isAskedByPartition: () => boolean;
  /** @throws Error if the storage fails */
  readonly storeSession: (session: SessionId) => void;
  /** called when the loop stops, because the ensemble sleeps */
  readonly onSleep: (isController: boolean) => void;
  /** called when the loop continues */
  readonly onWake: () => void;
  /** called for every step, which shows that the broker runs even without its heartbeat */
  readonly onStep: () => void;
  /** called when a program has failed, because an invariant is violated */
  readonly onFailure: (error: unknown) => void;
}

/** A stub, and the depth of the event in which it was first called. */
interface Opened<Stub> {
  readonly stub: Stub;
  readonly depth: number;
}

/** Stubs by the number of their object. Invariant: each is opened in a root event; one whose call broke is replaced. */
class Stubs<Stub> {
  readonly #connect: (number: number) => Stub;
  readonly #opener: StubOpener;
  readonly #stubs = new Map<number, Opened<Stub>>();

  constructor(connect: (number: number) => Stub, opener: StubOpener) {
    this.#connect = connect;
    this.#opener = opener;
  }

  /**
   * Calls the stub, after opening it in a root event if necessary. The timeout applies to the call only, because the wait
   * for a root event says nothing about the callee.
   * @returns undefined if the call broke or timed out
   */
  async call<T>(
    number: number,
    timeoutMs: number,
    call: (stub: Stub, depth: number) => Promise<T>,
  ): Promise<T | undefined> {
    let opened = this.#stubs.get(number);
    if (opened === undefined) {
      const depth = await this.#opener.next();
      opened = this.#stubs.get(number) ?? { stub: this.#connect(number), depth };
      this.#stubs.set(number, opened);
    }
    try {
      return await withTimeout(call(opened.stub, opened.depth), timeoutMs);
    } catch {
      if (this.#stubs.get(number) === opened) this.#stubs.delete(number);
      return undefined;
    }
  }
}

/** The running programs of one broker. Invariant: one writer has the turn at a time, and at most one program sleeps. */
export class Programs {
  readonly #ports: ProgramsPorts;
  readonly #nodes: Stubs<ZooWeeperNodeRpc>;
  readonly #brokers: Stubs<BrokerRpc>;
  /** woken when the session moves to another node, or is lost */
  readonly #moved = new Waiters();
  #moves = 0;
  readonly #shown = new Waiters();
  /** writers in order; the first one has the turn */
  readonly #turns: (() => void)[] = [];
  #wake: (() => void) | undefined;

  constructor(ports: ProgramsPorts) {
    this.#ports = ports;
    this.#nodes = new Stubs(ports.connectNode, ports.opener);
    this.#brokers = new Stubs(ports.connectBroker, ports.opener);
  }

  /** Whether a program sleeps. */
  get isAsleep(): boolean {
    return this.#wake !== undefined;
  }

  /** Continues the sleeping program, if there is one. */
  wake(): void {
    const wake = this.#wake;
    if (wake === undefined) return;
    this.#wake = undefined;
    this.#ports.onWake();
    wake();
  }

  /** Runs a program to its end. @throws what the program throws, if an invariant is violated */
  async run<T>(program: Program<T>): Promise<T> {
    let step = program.next(undefined as unknown as Resumed);
    while (!step.done) {
      const performed = this.#perform(step.value);
      const result = performed instanceof Promise ? await performed : performed;
      step = program.next({ nowMs: Date.now(), result });
      this.#noteMoves();
    }
    return step.value;
  }

  /** Runs a program whose result is not needed. */
  start(program: Program<unknown>): void {
    this.run(program).catch((error: unknown) => this.#ports.onFailure(error));
  }

  #noteMoves(): void {
    const { moves } = this.#ports.session;
    if (moves === this.#moves) return;
    this.#moves = moves;
    this.#moved.wake();
  }

  /** Runs a step; steps that need no wait return their result directly. */
  #perform(step: BrokerStep): StepResults[BrokerStep["type"]] | Promise<StepResults[BrokerStep["type"]]> {
    switch (step.type) {
      case "now":
        return null;
      case "pause":
        this.#ports.onStep();
        return pause(step.ms).then(() => null);
      case "node":
        return this.#callNode(step.sid, step.call, step.timeoutMs);
      case "reads":
        return Promise.all(step.calls.map((call) => this.#callNode(step.sid, call, step.timeoutMs)));
      case "wait":
        return this.#wait(step.sid, step.call, step.timeoutMs);
      case "turn":
        return this.#takeTurn();
      case "endTurn":
        this.#turns.shift();
        this.#turns[0]?.();
        return null;
      case "partitions":
        return this.#callPartitions(step.calls, step.timeoutMs);
      case "park":
        return this.#brokers.call(step.broker, step.timeoutMs, (stub, depth) =>
          stub.park(this.#ports.id, depth),
        );
      case "probe":
        return this.#probe(step.broker, step.timeoutMs);
      case "newId":
        return randomId();
      case "storeSession":
        return this.#storeSession(step.session);
      case "start":
        this.start(step.program);
        return null;
      case "show":
        this.#ports.onStep();
        this.#shown.wake();
        return null;
      case "shown":
        return this.#shown.wait(step.timeoutMs).then(() => null);
      case "sleep":
        return new Promise((resolve) => {
          this.#wake = () => resolve(null);
          this.#ports.onSleep(step.isController);
        });
      default:
        return assertNever(step);
    }
  }

  // ── nodes ────────────────────────────────────────────────────────────────

  #callNode<Name extends NodeCallName>(
    sid: number,
    call: NodeCall<Name>,
    timeoutMs: number,
  ): Promise<NodeAnswer<Name>> {
    const answer = this.#nodes.call(sid, timeoutMs, (node) => callOf(node, call as NodeCall));
    return answer as Promise<NodeAnswer<Name>>;
  }

  /** Ends early if another call, such as a heartbeat, finds the node dead; the wait is then repeated at another node. */
  async #wait(
    sid: number,
    call: NodeCall<"waitForChange">,
    timeoutMs: number,
  ): Promise<NodeAnswer<"waitForChange"> | null> {
    const waiting = this.#callNode(sid, call, timeoutMs + this.#ports.config.attemptTimeoutMs).then(
      (answer) => ({ answer }),
    );
    const ended = await this.#moved.or(waiting, timeoutMs);
    return ended === undefined ? null : ended.answer;
  }

  // ── writes ───────────────────────────────────────────────────────────────

  #takeTurn(): null | Promise<null> {
    return new Promise((resolve) => {
      const begin = (): void => resolve(null);
      this.#turns.push(begin);
      if (this.#turns[0] === begin) begin();
    });
  }

  #storeSession(session: SessionId): boolean {
    try {
      this.#ports.storeSession(session);
      return true;
    } catch {
      return false;
    }
  }

  // ── partitions and brokers ───────────────────────────────────────────────

  async #callPartitions(
    calls: readonly PartitionCall[],
    timeoutMs: number,
  ): Promise<StepResults["partitions"]> {
    const { callsAtOnce, callsPerTurn } = this.#ports.config;
    const answers: StepResults["partitions"][number][] = [];
    for (let at = 0; at < calls.length; at += callsAtOnce) {
      const slice = calls.slice(at, at + callsAtOnce);
      answers.push(...(await Promise.all(slice.map((call) => this.#callPartition(call, timeoutMs)))));
      // without this, a chain of calls within one process would never give timers and sockets a turn
      if (at % callsPerTurn === 0 && at > 0) await pause(0);
    }
    return answers;
  }

  async #callPartition(call: PartitionCall, timeoutMs: number): Promise<StepResults["partitions"][number]> {
    const { topicId, partition } = call;
    // a stub opened in the event of a partition's request would increase the depth of partition and broker alternately
    if (this.#ports.isAskedByPartition()) await this.#ports.opener.next();
    try {
      const stub = this.#ports.connectPartition(topicId, partition);
      switch (call.name) {
        case "leaderAndIsr":
          return await withTimeout(stub.leaderAndIsr(call.leadership), timeoutMs);
        case "remove":
          return await withTimeout(
            stub.remove({ topicId, controllerEpoch: call.controllerEpoch }),
            timeoutMs,
          );
        case "bounds":
          return await withTimeout(stub.bounds(-1), timeoutMs);
        default:
          return assertNever(call);
      }
    } catch {
      return undefined;
    }
  }

  async #probe(broker: number, timeoutMs: number): Promise<SessionId | null | undefined> {
    const status = await this.#brokers.call(broker, timeoutMs, (stub, depth) => stub.status(depth));
    return status?.session;
  }
}

/** The method of a node that a call names. */
function callOf(node: ZooWeeperNodeRpc, call: NodeCall): Promise<Exclude<NodeAnswer, undefined>> {
  switch (call.name) {
    case "openSession":
      return node.openSession(call.timeoutMs);
    case "touchSession":
      return node.touchSession(call.session, true);
    case "closeSession":
      return node.closeSession(call.session);
    case "write":
      return node.write({ session: call.session, xid: call.xid, request: call.request });
    case "read":
      return node.read({
        session: call.session,
        request: call.request,
        consistency: call.fresh ? "linearizable" : "local",
        stale: false,
        background: true,
      });
    case "waitForChange":
      return node.waitForChange({
        conditions: call.conditions,
        timeoutMs: call.timeoutMs,
        owner: { session: call.session, owner: call.owner },
      });
    default:
      return assertNever(call);
  }
}
