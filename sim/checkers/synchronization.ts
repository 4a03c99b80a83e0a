/** Order of the messages of a leader and a learner from LEADERINFO on. */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { DigestAt } from "../../core/zab/messages.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { Rule } from "./rules.ts";
import type { LifeView } from "./view.ts";

/** A learner's stay with a leader, derived from the messages of both, and compared with the state of the core. */
export interface Stay {
  readonly join: number;
  readonly epoch: number;
  /** the leader had lost the learner, and accepted it again under the same number */
  readonly again: boolean;
  promised: boolean;
  synchronizing: boolean;
  /** end of the log that was sent to the learner */
  sent: Zxid | null;
  /** NEWLEADER was sent */
  closing: boolean;
  upToDate: boolean;
  acked: Zxid | null;
  commit: Zxid;
  /** the report about its tree in its ACKEPOCH; null: none */
  tree: DigestAt | null;
  /** it answers CHECK before UPTODATE too */
  checksEarly: boolean;
}

type LeaderMessage = Extract<
  PeerMessage,
  { type: "DIFF" | "TRUNC" | "SNAP" | "SNAPCHUNK" | "PROPOSAL" | "NEWLEADER" | "UPTODATE" | "COMMIT" }
>;
type LearnerMessage = Extract<PeerMessage, { type: "ACKEPOCH" | "POSITION" | "STAGED" | "ACK" }>;

/** The core's reasons when the leader's messages do not fit into a stay. */
const MISFIT = "the leader's messages do not fit together";

/**
 * messageIllegal, stateInconsistent, proposalInconsistent, commitInconsistent, ackInconsistent.
 * Invariant: of each learner a leader has one stay, the last one that it offered.
 */
export class SynchronizationChecker implements Checker {
  readonly #checks: Checks;
  /** *map leader → learner → stay* */
  readonly #stays = new PerLife<Map<Sid, Stay>>();

  constructor(checks: Checks) {
    this.#checks = checks;
  }

  started(life: LifeView): void {
    this.#stays.set(life, new Map());
  }

  /** *map learner → its stay* with this life as leader */
  staysOf(leader: LifeView): ReadonlyMap<Sid, Stay> {
    return this.#stays.of(leader);
  }

  leaving(life: LifeView, to: Sid, message: PeerMessage): void {
    switch (message.type) {
      case "LEADERINFO": {
        const stays = this.#stays.of(life);
        const before = stays.get(to);
        const again = before?.join === message.join;
        stays.set(to, {
          join: message.join,
          epoch: message.epoch,
          again,
          // The promise may arrive while this waits for a write before it leaves: it is the same one.
          promised: again && before.promised,
          synchronizing: false,
          sent: null,
          closing: false,
          upToDate: false,
          acked: null,
          commit: ZXID_ZERO,
          tree: null,
          checksEarly: false,
        });
        return;
      }
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "SNAPCHUNK":
      case "PROPOSAL":
      case "NEWLEADER":
      case "UPTODATE":
      case "COMMIT":
        this.#leaderSays(life, to, message);
        return;
      default:
      // no part of a stay that a leader opens
    }
  }

  #leaderSays(life: LifeView, to: Sid, message: LeaderMessage): void {
    const checks = this.#checks;
    const stay = this.staysOf(life).get(to);
    const at = (): string => `${life.sid} says ${message.type} to ${to}`;
    checks.must("messageIllegal", stay !== undefined && stay.join === message.join, at);
    if (stay === undefined) return;
    switch (message.type) {
      case "DIFF":
        checks.must("stateInconsistent", stay.promised && !stay.closing, at);
        stay.synchronizing = true;
        stay.sent = message.from;
        return;
      case "TRUNC":
      case "SNAPCHUNK":
        checks.must("stateInconsistent", stay.promised && !stay.closing, at);
        stay.synchronizing = true;
        return;
      case "SNAP":
        checks.must("stateInconsistent", stay.promised && !stay.closing, at);
        stay.synchronizing = true;
        stay.sent = message.at.zxid;
        return;
      case "PROPOSAL":
        checks.must(
          "proposalInconsistent",
          stay.sent !== null && compareZxid(stay.sent, message.prev.zxid) === 0,
          () => `${at()} after ${text(message.prev.zxid)}, not ${stay.sent === null ? "-" : text(stay.sent)}`,
        );
        stay.sent = message.last;
        if (stay.upToDate) stay.commit = maxZxid(stay.commit, message.commit);
        return;
      case "NEWLEADER":
        checks.must(
          "stateInconsistent",
          stay.synchronizing &&
            !stay.closing &&
            stay.sent !== null &&
            compareZxid(stay.sent, message.last) === 0,
          at,
        );
        stay.closing = true;
        return;
      case "UPTODATE":
        checks.must("stateInconsistent", stay.acked !== null && !stay.upToDate, at);
        this.#mayCommit(stay, message.commit, at);
        stay.upToDate = true;
        return;
      case "COMMIT":
        checks.must("stateInconsistent", stay.upToDate, at);
        this.#mayCommit(stay, message.zxid, at);
    }
  }

  #mayCommit(stay: Stay, zxid: Zxid, at: () => string): void {
    const sent = stay.sent ?? ZXID_ZERO;
    this.#checks.must(
      "commitInconsistent",
      compareZxid(zxid, sent) <= 0 && compareZxid(zxid, stay.commit) >= 0,
      () => `${at()} ${text(zxid)}, sent ${text(sent)}, told ${text(stay.commit)}`,
    );
    stay.commit = zxid;
  }

  arriving(from: LifeView, to: LifeView, message: PeerMessage): void {
    switch (message.type) {
      case "ACKEPOCH":
      case "POSITION":
      case "STAGED":
      case "ACK":
        this.#learnerSays(from, to, message);
        return;
      default:
      // of a leader, or about nothing that is checked on arrival
    }
  }

  #learnerSays(from: LifeView, to: LifeView, message: LearnerMessage): void {
    const checks = this.#checks;
    const stay = this.staysOf(to).get(from.sid);
    if (stay === undefined || stay.join !== message.join || stay.epoch !== message.epoch) return;
    const at = (): string => `${from.sid} says ${message.type} to ${to.sid}`;
    switch (message.type) {
      case "ACKEPOCH":
        // It may come twice: the leader had lost the learner, and accepted it again.
        checks.must("stateInconsistent", stay.acked === null, at);
        stay.promised = true;
        if (message.needSnap) return;
        stay.tree = message.digest ?? null;
        stay.checksEarly = message.checksEarly === true;
        return;
      case "POSITION":
      case "STAGED":
        // The learner sent this before it knew that it was accepted again; its next stay has another number.
        if (stay.again && !stay.synchronizing) return;
        checks.must("stateInconsistent", stay.synchronizing && stay.acked === null, at);
        return;
      case "ACK": {
        const { sent, acked } = stay;
        // The leader has accepted the learner again, and this message is of the stay before.
        if (stay.again && !stay.synchronizing) return;
        checks.must(
          "ackInconsistent",
          stay.closing &&
            sent !== null &&
            compareZxid(message.zxid, sent) <= 0 &&
            (acked === null || compareZxid(message.zxid, acked) > 0),
          () =>
            `${at()} ${text(message.zxid)}, sent ${text(sent ?? ZXID_ZERO)}, acked ${text(acked ?? ZXID_ZERO)}`,
        );
        stay.acked = message.zxid;
      }
    }
  }

  handled(from: LifeView, to: LifeView, message: PeerMessage): void {
    switch (message.type) {
      case "LEADERINFO":
        // A member without memory promises what others say that they have promised, also after it has asked to join.
        if (!to.storage.meta.initialized && message.epoch < to.server.zab.acceptedEpoch) return;
        this.#fits("stateInconsistent", from, to, message);
        return;
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "SNAPCHUNK":
      case "NEWLEADER":
        this.#fits("stateInconsistent", from, to, message);
        return;
      case "PROPOSAL":
        this.#fits("proposalInconsistent", from, to, message);
        return;
      case "UPTODATE":
      case "COMMIT":
      case "CHECK":
        this.#fits("commitInconsistent", from, to, message);
        return;
      default:
      // has no history to compare
    }
  }

  /** The core ends a stay when a message does not fit into it. On a link that keeps its order every message fits. */
  #fits(rule: Rule, from: LifeView, to: LifeView, message: PeerMessage): void {
    this.#checks.must(
      rule,
      to.server.zab.reason !== MISFIT,
      () => `${message.type} of ${from.sid} does not fit ${to.sid}`,
    );
  }
}
