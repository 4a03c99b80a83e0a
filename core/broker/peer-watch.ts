/**
 * How brokers notice that another one died: a parked call on it. When the call breaks, a probe asks whether the broker
 * is there and still has the session under which it is registered; if not, that session is closed at once instead of
 * left to expire. The controller watches every live broker, every other broker watches the controller.
 */
import type { SessionId } from "../znode/types.ts";
import type { BrokerConfig } from "./config.ts";
import type { EnsembleSession } from "./ensemble-session.ts";
import { type Program, pause, perform } from "./program.ts";
import type { LiveBroker } from "./znodes.ts";

/** Invariant: of each watched broker one program holds a call, and it ends once the broker is not watched any more. */
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
   * Watches these brokers, under the sessions they are registered with, and no others.
   * @returns the programs to be started, one per broker that was not watched
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
      // it sleeps because the ensemble does, and so will this broker; if not, it is watched again in the next round
      if (parked === "ASLEEP" || (yield* this.#closeIfGone(broker, session))) {
        if (this.#watched.get(broker) === session) this.#watched.delete(broker);
        return;
      }
      yield* pause(this.#config.retryMs);
    }
  }

  /** One probe: is it up, and does it still mean the session that is registered? If not, that session is closed. */
  *#closeIfGone(broker: number, session: SessionId): Program<boolean> {
    const { probeTimeoutMs: timeoutMs } = this.#config;
    if ((yield* perform({ type: "probe", broker, timeoutMs })) === session) return false;
    // where that fails, it expires by itself
    yield* this.#session.close(session);
    return true;
  }
}
