/**
 * The rules of discovery and of members that forget, checked message by message: each holds by itself, long before a run shows
 * what its breach leads to. What a member should know follows here from the messages that it took, not from its own state.
 *
 * | rule | in one line | spec |
 * |---|---|---|
 * | PromiseOnce | an epoch is promised to one candidate | ZAB-53 |
 * | NewEpoch | a new epoch is above everything that its quorum has promised | ZAB-50 |
 * | Discovery | a leader has the best history of a quorum whose promises still count | ZAB-52, 54, 115 |
 * | LivesSeen | lives of peers are noted before they count, and are told with every promise | ZAB-113, 115 |
 * | Witnesses | a member without memory has the answers of a majority, and promises no less than they have promised | ZAB-111 |
 */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { AckEpoch, FollowerInfo, Notification } from "../../core/zab/messages.ts";
import { compareZxid } from "../../core/zab/zxid.ts";
import type { Life } from "../cluster.ts";
import type { Rule } from "./invariants.ts";

/** What a learner said to a leader in DISCOVERY. */
interface Promise {
  readonly boot: number;
  readonly counted: boolean;
  /** its history is newer than the leader's */
  readonly isNewer: boolean;
}

/** What follows for one life from the messages that it took. */
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
  /** *map peer → the highest life that it has heard of* */
  readonly seen: Map<Sid, number>;
}

type Must = (rule: Rule, holds: boolean, what: () => string) => void;

export class Promises {
  readonly #must: Must;
  readonly #majority: number;
  readonly #ghosts = new WeakMap<Life, Ghost>();
  /** *map sid → epoch → the candidate to whom it is promised* */
  readonly #promisedTo = new Map<Sid, Map<number, Sid>>();

  constructor(size: number, must: Must) {
    this.#majority = Math.floor(size / 2) + 1;
    this.#must = must;
  }

  #ghost(life: Life): Ghost {
    let ghost = this.#ghosts.get(life);
    if (ghost === undefined) {
      ghost = {
        role: "",
        phase: "",
        infos: new Map(),
        promises: new Map(),
        chosen: 0,
        chosenIn: 0,
        witnesses: new Set(),
        witnessed: 0,
        seen: new Map(),
      };
      this.#ghosts.set(life, ghost);
    }
    return ghost;
  }

  /** The storage is gone, or old: the member may promise again. */
  wiped(sid: Sid): void {
    this.#promisedTo.delete(sid);
  }

  /** A message comes that the core of `to` will take. */
  arriving(from: Life, to: Life, message: PeerMessage, isReturn: boolean): void {
    const ghost = this.#ghost(to);
    const { boot } = from.server.zab;
    if (boot > (ghost.seen.get(from.sid) ?? 0)) ghost.seen.set(from.sid, boot);
    if (message.type === "NOTIFICATION") {
      if (isReturn) this.#answered(from, to, message);
    } else if (message.type === "FOLLOWERINFO") {
      // The step at hand may make it the leader.
      ghost.infos.set(from.sid, { info: message, boot });
    } else if (message.type === "ACKEPOCH") this.#promised(from, to, message);
  }

  /** A voter answers a member without memory. */
  #answered(from: Life, to: Life, note: Notification): void {
    if (to.storage.meta.initialized || !note.initialized || note.boots === undefined) return;
    const ghost = this.#ghost(to);
    ghost.witnesses.add(from.sid);
    ghost.witnessed = Math.max(ghost.witnessed, note.acceptedEpoch);
  }

  #promised(from: Life, to: Life, message: AckEpoch): void {
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

  /** A member makes a message. @param event number of the event in which it does @param to null: the caller */
  saying(life: Life, to: Sid | null, message: PeerMessage, event: number): void {
    const ghost = this.#ghost(life);
    if (message.type === "LEADERINFO" && to !== null) {
      if (ghost.chosen !== message.epoch) {
        ghost.chosen = message.epoch;
        ghost.chosenIn = event;
      }
      const known = ghost.infos.get(to);
      if (known === undefined || !known.info.initialized) return;
      const { acceptedEpoch } = known.info;
      // Whoever comes later may have promised this very epoch, to another or to us.
      const least = ghost.chosenIn === event ? acceptedEpoch + 1 : acceptedEpoch;
      this.#must(
        "NewEpoch",
        message.epoch >= least,
        () => `${life.sid} offers epoch ${message.epoch} to ${to}, which has promised ${acceptedEpoch}`,
      );
    } else if (message.type === "ACKEPOCH") {
      for (const [peer, boot] of ghost.seen) {
        this.#must(
          "LivesSeen",
          (message.boots[peer - 1] ?? 0) >= boot,
          () => `${life.sid} does not tell that it has heard of life ${boot} of ${peer}`,
        );
      }
    }
  }

  /** A message leaves, and with it what it promises. */
  leaving(life: Life, to: Sid, message: PeerMessage): void {
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

  #noted(life: Life, peer: Sid, boot: number): void {
    this.#must(
      "LivesSeen",
      (life.storage.meta.peerBoots[peer - 1] ?? 0) >= boot,
      () => `${life.sid} relies on life ${boot} of ${peer}, and has not noted it`,
    );
  }

  #promises(sid: Sid, epoch: number, candidate: Sid): void {
    let byEpoch = this.#promisedTo.get(sid);
    if (byEpoch === undefined) {
      byEpoch = new Map();
      this.#promisedTo.set(sid, byEpoch);
    }
    const known = byEpoch.get(epoch);
    this.#must(
      "PromiseOnce",
      known === undefined || known === candidate,
      () => `${sid} promises epoch ${epoch} to ${candidate}, and has promised it to ${known}`,
    );
    byEpoch.set(epoch, candidate);
  }

  /** A step of a member is over. */
  stepped(life: Life): void {
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

  #chosen(life: Life, ghost: Ghost): void {
    const { zab } = life.server;
    let counted = 1;
    for (const [sid, promise] of ghost.promises) {
      const { boot, isNewer } = promise;
      if (boot < zab.incarnationOf(sid)) continue;
      // (One that the leader had lost sight of before it said so is not heard, and does not count.)
      if (promise.counted && !isNewer) counted += 1;
    }
    this.#must(
      "Discovery",
      counted >= this.#majority,
      () => `${life.sid} leads epoch ${zab.currentEpoch} by ${counted} promises`,
    );
  }

  #follows(life: Life, ghost: Ghost): void {
    const { initialized, founding } = life.storage.meta;
    if (initialized || founding) return;
    this.#must(
      "Witnesses",
      ghost.witnesses.size >= this.#majority,
      () => `${life.sid} follows by the answers of ${ghost.witnesses.size}`,
    );
    this.#must(
      "Witnesses",
      life.server.zab.acceptedEpoch >= ghost.witnessed,
      () =>
        `${life.sid} promises ${life.server.zab.acceptedEpoch} where others have promised ${ghost.witnessed}`,
    );
  }
}
