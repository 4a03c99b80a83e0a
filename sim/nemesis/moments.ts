/** Faults at a chosen moment: at one of the next messages of some type, or at an effect of some kind. */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Cluster } from "../cluster.ts";
import type { CrashOrder } from "../member/life.ts";
import type { Chance } from "../random.ts";
import { type Blow, Blows } from "./blows.ts";
import type { FaultWindow } from "./fault-window.ts";
import type { MemoryLoss } from "./memory-loss.ts";

/** Messages at which a fault may hit sender or receiver; most of them are rare in a run. */
const MOMENTS: readonly PeerMessage["type"][] = [
  "NOTIFICATION",
  "FOLLOWERINFO",
  "LEADERINFO",
  "LEADERINFO",
  "ACKEPOCH",
  "ACKEPOCH",
  "DIFF",
  "TRUNC",
  "POSITION",
  "SNAP",
  "SNAPCHUNK",
  "SNAPCHUNK",
  "STAGED",
  "NEWLEADER",
  "ACK",
  "UPTODATE",
  "PROPOSAL",
  "COMMIT",
  "LEADERACK",
  "REQUEST",
  "REQUEST",
  "REJECT",
  "TOUCH",
  "QUIET",
  "QUIETED",
  "SLEEP",
  "SLEPT",
];

/** The faults at a message; one that occurs n times is n times as likely. */
const BLOWS: readonly Blow[] = [
  "lose",
  "lose",
  "lose",
  "crash-from",
  "crash-to",
  "evict-from",
  "evict-to",
  "pause-from",
  "pause-to",
  "clog",
  "isolate-from",
  "isolate-to",
  "wipe-from",
  "wipe-to",
];

/** A fault that waits for a message. */
interface Moment {
  readonly type: PeerMessage["type"];
  readonly blow: Blow;
  left: number;
}

/** Maximum of faults that wait for messages. */
const MOMENTS_MAX = 4;

/** Invariant: at most one crash waits for an effect, and at most {@link MOMENTS_MAX} + 1 faults for messages. */
export class Moments {
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #window: FaultWindow;
  readonly #memory: MemoryLoss;
  readonly #blows: Blows;
  readonly #moments: Moment[] = [];
  /** remaining cuts behind a request, including the current one */
  #cutsLeft = 0;

  constructor(cluster: Cluster, chance: Chance, window: FaultWindow, memory: MemoryLoss) {
    this.#cluster = cluster;
    this.#chance = chance;
    this.#window = window;
    this.#memory = memory;
    this.#blows = new Blows(cluster, chance, window, memory);
  }

  /** Orders the crash of some member at one of its next effects of this kind. */
  crashAt(
    fits: (effect: { type: string; writes?: readonly { type: string }[] }, leads: boolean) => boolean,
    order: () => CrashOrder,
  ): boolean {
    const cluster = this.#cluster;
    if (cluster.onEffect !== null) return false;
    let left = this.#chance.between(1, 40);
    cluster.onEffect = (sid, effect) => {
      const leads = cluster.member(sid).life?.server.zab.proposing !== undefined;
      if (!fits(effect, leads)) return undefined;
      left -= 1;
      // A twin is ended by its writes, not by crashes.
      if (left > 0 || cluster.member(sid).twin !== null) return undefined;
      cluster.onEffect = null;
      this.#memory.restartLater(sid);
      return order();
    };
    return true;
  }

  /** Orders a fault at one of a member's next messages of some type, and sometimes another one after it. */
  atMessage(): boolean {
    const chance = this.#chance;
    if (this.#moments.length >= MOMENTS_MAX) return false;
    const type = chance.oneOf(MOMENTS);
    return this.#await({ type, blow: chance.oneOf(BLOWS), left: chance.between(1, 4) });
  }

  /** Repeatedly cuts a member off just when a write of it has arrived, so that it returns to a log that was cut behind it. */
  cutBehindRequests(times: number): boolean {
    this.#cutsLeft = times;
    if (times === 0) return false;
    const done = this.#await({ type: "REQUEST", blow: "part-from", left: this.#chance.between(1, 4) });
    const { tickTimeMs } = this.#cluster.config;
    this.#window.after(this.#chance.between(2, 5) * tickTimeMs, () => this.cutBehindRequests(times - 1));
    return done;
  }

  /** Whether members are being cut off behind their requests. */
  get isCutting(): boolean {
    return this.#cutsLeft > 0;
  }

  #await(moment: Moment): boolean {
    if (this.#moments.length > MOMENTS_MAX) return false;
    this.#moments.push(moment);
    return true;
  }

  /** Handles the delivery of messages. @returns whether they are lost */
  meet(from: Sid, to: Sid, messages: readonly PeerMessage[]): boolean {
    const { onLine } = this.#cluster;
    let lost = false;
    for (const moment of [...this.#moments]) {
      if (!messages.some((message) => message.type === moment.type)) continue;
      moment.left -= 1;
      if (moment.left > 0) continue;
      this.#moments.splice(this.#moments.indexOf(moment), 1);
      onLine?.(`at ${moment.type} of ${from} to ${to}: ${moment.blow}`);
      if (this.#blows.strike(moment.blow, from, to)) lost = true;
      if (this.#chance.oneIn(2)) this.atMessage();
    }
    return lost;
  }
}
