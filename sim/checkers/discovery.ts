/**
 * Checks discovery and members without memory message by message, so that a violation is found before it has visible
 * consequences. What a member should know is derived from the messages that it handled, not from its own state.
 */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { AckEpoch, FollowerInfo, Notification } from "../../core/zab/messages.ts";
import { compareZxid } from "../../core/zab/zxid.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { PerLife } from "./per-life.ts";
import type { EnsembleView, LifeView } from "./view.ts";

/** A learner's ACKEPOCH. */
interface Promise {
  readonly boot: number;
  readonly counted: boolean;
  /** its history is newer than the leader's */
  readonly isNewer: boolean;
}

/** State of one incarnation, derived from the messages that it handled. */
interface Ghost {
  role: string;
  phase: string;
  /** *map peer → its last FOLLOWERINFO, and its life* */
  readonly infos: Map<Sid, { readonly info: FollowerInfo; readonly boot: number }>;
  /** LEADING, DISCOVERY: *map learner → its ACKEPOCH* */
  readonly promises: Map<Sid, Promise>;
  /** the last epoch that it chose as leader, and the event in which it did; 0: none in this leadership */
  chosen: number;
  chosenIn: number;
  /** without memory: voters that have answered */
  readonly witnesses: Set<Sid>;
  /** the highest epoch that they have promised */
  witnessed: number;
  /** *map peer → the highest incarnation that it has seen* */
  readonly seen: Map<Sid, number>;
}

/** PromiseOnce, NewEpoch, Discovery, LivesSeen, Witnesses. Invariant: a member has promised an epoch to one candidate. */
export class DiscoveryChecker implements Checker {
  readonly #ensemble: EnsembleView;
  readonly #checks: Checks;
  readonly #majority: number;
  readonly #ghosts = new PerLife<Ghost>();
  /** *map sid → epoch → the candidate to whom it is promised* */
  readonly #promisedTo = new Map<Sid, Map<number, Sid>>();

  constructor(ensemble: EnsembleView, checks: Checks) {
    this.#ensemble = ensemble;
    this.#checks = checks;
    this.#majority = Math.floor(ensemble.members.length / 2) + 1;
  }

  #ghost(life: LifeView): Ghost {
    return this.#ghosts.of(life);
  }

  started(life: LifeView): void {
    this.#ghosts.set(life, {
      role: "",
      phase: "",
      infos: new Map(),
      promises: new Map(),
      chosen: 0,
      chosenIn: 0,
      witnesses: new Set(),
      witnessed: 0,
      seen: new Map(),
    });
  }

  wiped(sid: Sid): void {
    this.#promisedTo.delete(sid);
  }

  arriving(from: LifeView, to: LifeView, message: PeerMessage, isReturn: boolean): void {
    const ghost = this.#ghost(to);
    const { boot } = from.server.zab;
    if (boot > (ghost.seen.get(from.sid) ?? 0)) ghost.seen.set(from.sid, boot);
    if (message.type === "NOTIFICATION") {
      if (isReturn) this.#answered(from, to, message);
    } else if (message.type === "FOLLOWERINFO") {
      // The current step may make it the leader.
      ghost.infos.set(from.sid, { info: message, boot });
    } else if (message.type === "ACKEPOCH") this.#promised(from, to, message);
  }

  /** Handles a voter's answer to a member without memory. */
  #answered(from: LifeView, to: LifeView, note: Notification): void {
    if (to.storage.meta.initialized || !note.initialized || note.boots === undefined) return;
    const ghost = this.#ghost(to);
    ghost.witnesses.add(from.sid);
    ghost.witnessed = Math.max(ghost.witnessed, note.acceptedEpoch);
  }

  #promised(from: LifeView, to: LifeView, message: AckEpoch): void {
    const { zab } = to.server;
    const ghost = this.#ghost(to);
    const known = ghost.infos.get(from.sid);
    if (zab.role !== "LEADING" || zab.phase !== "DISCOVERY") return;
    if (known === undefined || known.info.join !== message.join || message.epoch !== zab.acceptedEpoch)
      return;
    const newer =
      message.currentEpoch - zab.currentEpoch || compareZxid(message.last.zxid, zab.lastLogged.zxid);
    ghost.promises.set(from.sid, {
      boot: known.boot,
      counted: message.counted && known.info.initialized,
      isNewer: newer > 0,
    });
  }

  saying(life: LifeView, to: Sid | null, message: PeerMessage): void {
    const ghost = this.#ghost(life);
    const event = this.#ensemble.events;
    if (message.type === "LEADERINFO" && to !== null) {
      if (ghost.chosen !== message.epoch) {
        ghost.chosen = message.epoch;
        ghost.chosenIn = event;
      }
      const known = ghost.infos.get(to);
      if (known === undefined || !known.info.initialized) return;
      const { acceptedEpoch } = known.info;
      // A learner that joins later may have promised this epoch, to another candidate or to this one.
      const least = ghost.chosenIn === event ? acceptedEpoch + 1 : acceptedEpoch;
      this.#checks.must(
        "NewEpoch",
        message.epoch >= least,
        () => `${life.sid} offers epoch ${message.epoch} to ${to}, which has promised ${acceptedEpoch}`,
      );
    } else if (message.type === "ACKEPOCH") {
      for (const [peer, boot] of ghost.seen) {
        this.#checks.must(
          "LivesSeen",
          (message.boots[peer - 1] ?? 0) >= boot,
          () => `${life.sid} does not report that it has seen life ${boot} of ${peer}`,
        );
      }
    }
  }

  leaving(life: LifeView, to: Sid, message: PeerMessage): void {
    if (message.type === "ACKEPOCH") {
      if (message.counted) this.#promises(life.sid, message.epoch, to);
    } else if (message.type === "LEADERINFO") {
      this.#promises(life.sid, message.epoch, life.sid);
      const known = this.#ghost(life).infos.get(to);
      if (known?.info.join === message.join) this.#noted(life, to, known.boot);
    } else if (message.type === "NOTIFICATION" && message.boots !== undefined) {
      for (const [i, boot] of message.boots.entries()) {
        if (i + 1 !== life.sid) this.#noted(life, (i + 1) as Sid, boot);
      }
    }
  }

  #noted(life: LifeView, peer: Sid, boot: number): void {
    this.#checks.must(
      "LivesSeen",
      (life.storage.meta.peerBoots[peer - 1] ?? 0) >= boot,
      () => `${life.sid} relies on life ${boot} of ${peer}, and has not stored it`,
    );
  }

  #promises(sid: Sid, epoch: number, candidate: Sid): void {
    let byEpoch = this.#promisedTo.get(sid);
    if (byEpoch === undefined) {
      byEpoch = new Map();
      this.#promisedTo.set(sid, byEpoch);
    }
    const known = byEpoch.get(epoch);
    this.#checks.must(
      "PromiseOnce",
      known === undefined || known === candidate,
      () => `${sid} promises epoch ${epoch} to ${candidate}, and has promised it to ${known}`,
    );
    byEpoch.set(epoch, candidate);
  }

  stepped(life: LifeView): void {
    const { zab } = life.server;
    const ghost = this.#ghost(life);
    const { role, phase } = zab;
    if (ghost.role === role && ghost.phase === phase) return;
    const led = ghost.role === "LEADING";
    if (role === "LEADING" && phase !== "DISCOVERY" && led && ghost.phase === "DISCOVERY")
      this.#chosen(life, ghost);
    if (role === "FOLLOWING" && ghost.role !== "FOLLOWING") this.#follows(life, ghost);
    if (role !== ghost.role && led) ghost.promises.clear();
    // Not when one ends: the step that ends it may have sent LEADERINFO before.
    if (role === "LEADING" && !led) ghost.chosen = 0;
    ghost.role = role;
    ghost.phase = phase;
  }

  #chosen(life: LifeView, ghost: Ghost): void {
    const { zab } = life.server;
    let counted = 1;
    for (const [sid, promise] of ghost.promises) {
      const { boot, isNewer } = promise;
      if (boot < zab.incarnationOf(sid)) continue;
      // A learner that the leader had lost before its answer does not count.
      if (promise.counted && !isNewer) counted += 1;
    }
    this.#checks.must(
      "Discovery",
      counted >= this.#majority,
      () => `${life.sid} leads epoch ${zab.currentEpoch} by ${counted} promises`,
    );
  }

  #follows(life: LifeView, ghost: Ghost): void {
    const { initialized, founding } = life.storage.meta;
    if (initialized || founding) return;
    this.#checks.must(
      "Witnesses",
      ghost.witnesses.size >= this.#majority,
      () => `${life.sid} follows by the answers of ${ghost.witnesses.size}`,
    );
    this.#checks.must(
      "Witnesses",
      life.server.zab.acceptedEpoch >= ghost.witnessed,
      () =>
        `${life.sid} promises ${life.server.zab.acceptedEpoch} where others have promised ${ghost.witnessed}`,
    );
  }
}
