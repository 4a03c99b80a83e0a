/**
 * How brokers notice that another one died: a parked call on it. When the call breaks, a probe asks whether the broker
 * is there and still has the session under which it is registered; if not, that session is closed at once instead of
 * left to expire. The controller watches every live broker, every other broker watches the controller.
 */
import type { LiveBroker } from "../../core/broker/znodes.ts";
import type { SessionId } from "../../core/znode/types.ts";
import { pause, withTimeout } from "../shared/timeout.ts";
import type { BrokerRpc } from "./rpc.ts";

export interface PeerWatchPorts {
  /** own id, told to the peer */
  readonly id: number;
  /** a fresh stub */
  readonly connect: (id: number) => BrokerRpc;
  readonly closeSession: (session: SessionId) => Promise<void>;
  readonly probeTimeoutMs: number;
  /** pause before a call that broke is made again */
  readonly retryMs: number;
  /** longer than a peer holds a parked call */
  readonly parkTimeoutMs: number;
}

export class PeerWatch {
  readonly #ports: PeerWatchPorts;
  /** map broker id → the session watched */
  readonly #watched = new Map<number, SessionId>();

  constructor(ports: PeerWatchPorts) {
    this.#ports = ports;
  }

  /** Watches these brokers, under the sessions they are registered with, and no others. */
  watch(brokers: readonly LiveBroker[]): void {
    const wanted = new Map(brokers.map((broker) => [broker.id, broker.session]));
    for (const [id, session] of this.#watched) if (wanted.get(id) !== session) this.#watched.delete(id);
    for (const [id, session] of wanted) {
      if (this.#watched.get(id) === session) continue;
      this.#watched.set(id, session);
      void this.#hold(id, session);
    }
  }

  async #hold(id: number, session: SessionId): Promise<void> {
    const { connect, parkTimeoutMs } = this.#ports;
    let stub = connect(id);
    while (this.#watched.get(id) === session) {
      try {
        const word = await withTimeout(stub.park(this.#ports.id), parkTimeoutMs);
        // It sleeps because the ensemble does, and so shall we; if not, we watch it again in the next round.
        if (word === "ASLEEP") {
          if (this.#watched.get(id) === session) this.#watched.delete(id);
          return;
        }
      } catch {
        if (this.#watched.get(id) !== session) return;
        stub = connect(id);
        if (!(await this.#isThere(stub, session))) {
          await this.#bury(id, session);
          return;
        }
        await pause(this.#ports.retryMs);
      }
    }
  }

  /** One probe: is it up, and does it still mean the session that is registered? */
  async #isThere(stub: BrokerRpc, session: SessionId): Promise<boolean> {
    try {
      const status = await withTimeout(stub.status(), this.#ports.probeTimeoutMs);
      return status.session === session;
    } catch {
      return false;
    }
  }

  async #bury(id: number, session: SessionId): Promise<void> {
    try {
      await this.#ports.closeSession(session);
    } catch {
      // it expires by itself
    } finally {
      if (this.#watched.get(id) === session) this.#watched.delete(id);
    }
  }
}
