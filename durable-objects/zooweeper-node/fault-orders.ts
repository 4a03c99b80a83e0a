/** Fault orders for this node (`/v1/faults`). They act only if `FAULTS` is "on", and no other node is informed. */
import { assertNever } from "../../core/assert.ts";
import type { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import type { FaultName } from "../shared/faults.ts";
import type { RootEvents } from "../shared/root-events.ts";
import { NO_RETRIES } from "../shared/stub-options.ts";
import { pause, withTimeout } from "../shared/timeout.ts";
import { FAREWELL_MS, type NodeEnv, WHOLE_MS, WHOLE_PAUSE_MS, WHOLE_TRIES } from "./config.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { type NodeConfig, type NodeFault, UNKNOWN_PEERS, type ZooWeeperNodeRpc } from "./rpc.ts";
import type { SqliteBackend } from "./sqlite-backend.ts";

/** Parts of the node that faults affect. */
export interface FaultOrderPorts {
  readonly state: DurableObjectState;
  readonly env: NodeEnv;
  readonly backend: SqliteBackend;
  readonly alarm: DeadlineAlarm;
  readonly faults: FaultGate;
  readonly roots: RootEvents;
  readonly lifecycle: Lifecycle;
}

/**
 * Carries out fault orders.
 * Invariant: without `force` no order makes a majority of the members lose their storage.
 * @source docs/fault-injection.md
 */
export class FaultOrders {
  readonly #ports: FaultOrderPorts;
  /** number of orders that are about to delete or damage the node's storage */
  #losing = 0;

  constructor(ports: FaultOrderPorts) {
    this.#ports = ports;
  }

  /** Whether the node is about to lose its storage, and so already counts as lost. */
  get isLosing(): boolean {
    return this.#losing > 0;
  }

  /** See {@link ZooWeeperNodeRpc.fault}. */
  async fault(order: "kill" | "revive" | "crash" | NodeFault): Promise<number | undefined> {
    if (order === "revive") {
      await this.heal("kill");
      return;
    }
    const { state, backend, alarm, faults, lifecycle } = this.#ports;
    this.#refuseIfOff();
    const fault: NodeFault =
      order === "kill" ? { fault: "kill", ttlMs: null } : order === "crash" ? { fault: "crash" } : order;
    if (fault.fault !== "wipe") lifecycle.checkDatabase();
    else if (backend.broken !== undefined) {
      // Most of its rows may be intact.
      if (!fault.force) return UNKNOWN_PEERS;
      await this.#wipe();
      state.abort(fault.fault);
      return;
    }
    const config = this.#identity();
    if ((fault.fault === "wipe" || fault.fault === "corrupt") && !fault.force) {
      const left = await this.#leavesTooFew(config);
      if (left !== undefined) return left;
    }
    switch (fault.fault) {
      case "crash":
        await this.#recordEnd("crash");
        break;
      case "evict":
        await this.#recordEnd("evict");
        await state.storage.sync();
        break;
      case "wipe":
        await this.#recordEnd("wipe");
        await this.#wipe();
        break;
      case "corrupt": {
        const damaged = backend.damage(fault.row);
        if (damaged === undefined) {
          if (!fault.force) this.#losing -= 1;
          return;
        }
        faults.inflict({ fault: "corrupt", ...damaged }, fault.ttlMs, 0);
        await state.storage.sync();
        break;
      }
      case "kill":
      case "pause":
      case "isolate":
      case "drop":
      case "delay":
      case "duplicate":
      case "lose-return":
      case "skew":
      case "slow-storage": {
        const { ttlMs, seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0, ...lasting } = fault;
        faults.inflict(lasting, ttlMs, seed);
        if (fault.fault !== "kill") return;
        await this.#lastEventLeft();
        // If the fault ends by itself, possibly only the alarm restarts the member.
        alarm.ensure(faults.nextEnd);
        await state.storage.sync();
        break;
      }
      default:
        assertNever(fault);
    }
    lifecycle.drop();
    state.abort(fault.fault);
  }

  /** See {@link ZooWeeperNodeRpc.heal}. */
  async heal(fault?: FaultName): Promise<readonly FaultName[]> {
    const { faults, lifecycle } = this.#ports;
    this.#refuseIfOff();
    this.#identity();
    const healed = faults.heal(fault);
    // Its alarm may be unset. A member that still cannot start is no failure of this call.
    if (healed.length > 0 && !faults.killed && !faults.paused) await lifecycle.enter().catch(() => undefined);
    return healed;
  }

  #refuseIfOff(): void {
    if (this.#ports.env.FAULTS !== "on") throw new Error("faults are off");
  }

  /** @throws Error that begins with NODE_DOWN */
  #identity(): NodeConfig {
    const { identity } = this.#ports.lifecycle;
    if (identity === undefined) throw new Error("NODE_DOWN: this node was never founded");
    return identity;
  }

  async #wipe(): Promise<void> {
    const { state, backend, lifecycle } = this.#ports;
    lifecycle.drop();
    await backend.wipe(["config", "faults"], Date.now());
    await state.storage.sync();
  }

  /**
   * Makes this node count as lost, unless too few others are undamaged. Of several nodes that do this concurrently, the
   * last one to begin sees that all others have begun, so a majority always remains.
   * @returns the number of undamaged others, if they are too few
   */
  async #leavesTooFew({ ensemble, sid, size }: NodeConfig): Promise<number | undefined> {
    const namespace = this.#ports.env.ZOOWEEPER_NODE;
    const peers = Array.from({ length: size }, (_, i) => i + 1).filter((peer) => peer !== sid);
    for (let tries = 1; ; tries++) {
      this.#losing += 1;
      const depth = await this.#ports.roots.next();
      const views = await Promise.all(
        peers.map((peer) => {
          const id = namespace.idFromName(`${ensemble}/${peer}`);
          const stub = namespace.get(id, NO_RETRIES) as unknown as ZooWeeperNodeRpc;
          return withTimeout(stub.status(depth), WHOLE_MS).catch(() => undefined);
        }),
      );
      const whole = views.filter((view) => view?.serving === true).length;
      if (whole > size / 2) return undefined;
      this.#losing -= 1;
      if (tries === WHOLE_TRIES || !views.some((view) => view?.serving === false)) return whole;
      await pause(Math.random() * WHOLE_PAUSE_MS);
    }
  }

  /** Records a fault that ends this object, and waits until the event is sent. */
  #recordEnd(began: "crash" | "evict" | "wipe"): Promise<void> {
    this.record(began);
    return this.#lastEventLeft();
  }

  /** Waits until the last event is sent: socket data are sent in a later turn, and an abort would drop them. */
  async #lastEventLeft(): Promise<void> {
    if ((this.#ports.lifecycle.current?.feed.listeners.size ?? 0) > 0) await pause(FAREWELL_MS);
  }

  /** Records in the event feed that faults began or ended. Later listeners receive the faults when they connect. */
  record(began: FaultName | "crash" | "evict" | "wipe" | undefined, ended: readonly FaultName[] = []): void {
    const { lifecycle, faults } = this.#ports;
    lifecycle.current?.feed.record(Date.now(), {
      type: "fault",
      ...(began !== undefined && { began }),
      ...(ended.length > 0 && { ended }),
      faults: faults.list(),
    });
  }
}
