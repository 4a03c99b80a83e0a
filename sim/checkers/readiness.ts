/** Checks that members serve clients only when they may. */
import type { Sid } from "../../core/zab/membership.ts";
import { compareZxid, type Zxid } from "../../core/zab/zxid.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { EnsembleView, LifeView } from "./view.ts";

/** A stay in which a member serves, and its begin; ms of virtual time. */
export interface Serving {
  readonly leader: Sid | null;
  readonly join: number | undefined;
  readonly since: number;
}

/** State of one incarnation. */
interface Readiness {
  /** FOLLOWING in broadcast: the end of its log when it began to serve */
  broadcastFrom: Zxid | null;
  wasReady: boolean;
  /** null: it does not serve */
  serving: Serving | null;
}

/** ReadReady, ReadyWhole. Invariant: a life with `serving` is ready as of its last step. */
export class ReadinessChecker implements Checker {
  readonly #ensemble: EnsembleView;
  readonly #checks: Checks;
  readonly #states = new PerLife<Readiness>();

  constructor(ensemble: EnsembleView, checks: Checks) {
    this.#ensemble = ensemble;
    this.#checks = checks;
  }

  #state(life: LifeView): Readiness {
    return this.#states.of(life);
  }

  /** The stay in which this member serves; null: it does not. */
  servingOf(life: LifeView): Serving | null {
    return this.#state(life).serving;
  }

  started(life: LifeView): void {
    this.#states.set(life, { broadcastFrom: null, wasReady: false, serving: null });
  }

  stepped(life: LifeView): void {
    const state = this.#state(life);
    const { ready, zab } = life.server;
    const { serving } = state;
    if (zab.role !== "FOLLOWING" || !zab.serving) state.broadcastFrom = null;
    else state.broadcastFrom ??= zab.lastLogged.zxid;
    if (ready && serving === null && state.broadcastFrom !== null) {
      const from = state.broadcastFrom;
      this.#checks.must(
        "ReadyWhole",
        compareZxid(zab.lastProcessedZxid, from) >= 0,
        () => `${life.sid} is ready at ${text(zab.lastProcessedZxid)}, its log ended at ${text(from)}`,
      );
    }
    if (ready) state.wasReady = true;
    if (!ready) state.serving = null;
    else if (serving === null || serving.leader !== zab.leader || serving.join !== zab.join) {
      state.serving = { leader: zab.leader, join: zab.join, since: this.#ensemble.now };
    }
  }

  /** A member answers a read that may not be stale. */
  reads(life: LifeView): void {
    this.#checks.must(
      "ReadReady",
      this.#state(life).wasReady,
      () => `${life.sid} answers a read while it catches up`,
    );
  }
}
