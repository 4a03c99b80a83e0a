/** The epochs of a member only grow, and it forgets none that it has promised. */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { LifeView } from "./view.ts";

/** The epochs that a member has reported to others. */
interface Promised {
  acceptedEpoch: number;
  currentEpoch: number;
}

/** Epochs. Invariant: the promises of a member rise, until its storage is wiped. */
export class EpochChecker implements Checker {
  readonly #checks: Checks;
  readonly #promised = new Map<Sid, Promised>();
  /** *map life → its currentEpoch as of its last write* */
  readonly #current = new PerLife<number>();

  constructor(checks: Checks) {
    this.#checks = checks;
  }

  started(life: LifeView): void {
    const { meta } = life.storage;
    const promised = this.#promised.get(life.sid);
    if (promised !== undefined) {
      this.#checks.must(
        "Epochs",
        meta.acceptedEpoch >= promised.acceptedEpoch && meta.currentEpoch >= promised.currentEpoch,
        () => `${life.sid} forgot what it promised`,
      );
    }
    this.#current.set(life, meta.currentEpoch);
  }

  wiped(sid: Sid): void {
    this.#promised.delete(sid);
  }

  persisted(life: LifeView): void {
    const { log, meta } = life.storage;
    const before = this.#current.of(life);
    this.#checks.must(
      "Epochs",
      log.last.zxid.epoch <= meta.currentEpoch &&
        meta.currentEpoch <= meta.acceptedEpoch &&
        meta.currentEpoch >= before,
      () =>
        `${life.sid}: log ${text(log.last.zxid)} current ${meta.currentEpoch} accepted ${meta.acceptedEpoch}`,
    );
    if (meta.currentEpoch !== before) this.#current.set(life, meta.currentEpoch);
  }

  leaving(life: LifeView, _to: Sid, message: PeerMessage): void {
    if (message.type === "ACKEPOCH" || message.type === "LEADERINFO") this.#promise(life, message.epoch, 0);
    else if (message.type === "ACK") this.#promise(life, 0, message.epoch);
  }

  #promise(life: LifeView, acceptedEpoch: number, currentEpoch: number): void {
    const promised = this.#promised.get(life.sid);
    if (promised === undefined) this.#promised.set(life.sid, { acceptedEpoch, currentEpoch });
    else {
      if (acceptedEpoch > promised.acceptedEpoch) promised.acceptedEpoch = acceptedEpoch;
      if (currentEpoch > promised.currentEpoch) promised.currentEpoch = currentEpoch;
    }
  }
}
