/**
 * Failure detection between brokers, by parked calls. When the call breaks, a probe checks whether the broker is alive and
 * still has its registered session; if not, that session is closed at once, before it expires. The controller watches every
 * live broker, every other broker watches the controller.
 */
import type { SessionId } from "../znode/types.ts";
import type { BrokerConfig } from "./config.ts";
import type { EnsembleSession } from "./ensemble-session.ts";
import { type Program, pause, perform } from "./program.ts";
import type { LiveBroker } from "./znodes.ts";

/**
 * Watches other brokers.
 * Invariant: one program per watched broker keeps a call open, and it ends once the broker is no longer watched.
 */
export class PeerWatch {
  readonly #session: EnsembleSession;
  readonly #config: BrokerConfig;
  /** *map broker id → the session watched* */
  readonly #watched = new Map<number, SessionId>();

  constructor(session: EnsembleSession, config: BrokerConfig) {
    this.#session = session;
    this.#config = config;
  }

  /**
   * Sets the brokers to watch, with their registered sessions.
   * @returns the programs to start, one per broker that was not watched before
   */
  watch(brokers: readonly LiveBroker[]): readonly Program<void>[] {
    const wanted = new Map(brokers.map((broker) => [broker.id, broker.session]));
    for (const [id, session] of this.#watched) if (wanted.get(id) !== session) this.#watched.delete(id);
    const programs: Program<void>[] = [];
    for (const [id, session] of wanted) {
      if (this.#watched.get(id) === session) continue;
      this.#watched.set(id, session);
      programs.push(this.#hold(id, session));
    }
    return programs;
  }

  *#hold(broker: number, session: SessionId): Program<void> {
    // a broker holds a parked call for parkMs
    const timeoutMs = this.#config.parkMs * 2;
    while (this.#watched.get(broker) === session) {
      const parked = yield* perform({ type: "park", broker, timeoutMs });
      if (this.#watched.get(broker) !== session) return;
      if (parked === "AWAKE") continue;
      // it sleeps because the ensemble does, as this broker will too; otherwise the next round watches it again
      if (parked === "ASLEEP" || (yield* this.#closeIfGone(broker, session))) {
        if (this.#watched.get(broker) === session) this.#watched.delete(broker);
        return;
      }
      yield* pause(this.#config.retryMs);
    }
  }

  /** Probes a broker, and closes its registered session if it is gone or has another session. */
  *#closeIfGone(broker: number, session: SessionId): Program<boolean> {
    const { probeTimeoutMs: timeoutMs } = this.#config;
    if ((yield* perform({ type: "probe", broker, timeoutMs })) === session) return false;
    // if that fails, it expires by itself
    yield* this.#session.close(session);
    return true;
  }
}
