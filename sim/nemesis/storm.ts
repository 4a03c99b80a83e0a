/** A time with many faults at the messages of one phase of the protocol, which interrupt that phase repeatedly. */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Cluster } from "../cluster.ts";
import type { Chance } from "../random.ts";
import { type Blow, Blows } from "./blows.ts";
import type { FaultWindow } from "./fault-window.ts";
import type { MemoryLoss } from "./memory-loss.ts";

/** The faults at messages of one type. */
interface Gust {
  /** probability of a fault at a message */
  readonly density: number;
  /** the faults; one that occurs n times is n times as likely */
  readonly blows: readonly Blow[];
}

/** *map type of message → its faults* */
type Weather = Readonly<Partial<Record<PeerMessage["type"], Gust>>>;

/**
 * Faults while an epoch is chosen and promised: some learners get LEADERINFO late; learners that have promised lose their
 * memory, or the candidate is lost when only one has promised.
 */
const DISCOVERY: Weather = {
  FOLLOWERINFO: { density: 0.15, blows: ["lose", "clog", "slow-to", "evict-from", "isolate-to"] },
  LEADERINFO: {
    density: 0.6,
    blows: [
      "clog",
      "clog",
      "clog",
      "clog",
      "slow-to",
      "slow-to",
      "lose",
      "evict-to",
      "crash-from",
      "isolate-from",
    ],
  },
  ACKEPOCH: {
    density: 0.4,
    blows: ["evict-from", "evict-from", "wipe-from", "wipe-from", "lose", "clog", "crash-to", "isolate-to"],
  },
};

/** Faults while writes are outstanding: links break, and a learner leaves and rejoins while its writes are pending. */
const BROADCAST: Weather = {
  REQUEST: {
    density: 0.12,
    blows: [
      "break-from",
      "break-from",
      "break-from",
      "clog",
      "clog",
      "evict-from",
      "evict-from",
      "evict-to",
      "lose",
      "slow-to",
      "part-from",
    ],
  },
  PROPOSAL: { density: 0.05, blows: ["break-to", "break-to", "break-from", "lose", "slow-from", "clog"] },
  ACK: { density: 0.05, blows: ["lose", "break-from", "break-to", "slow-from", "part-from"] },
};

/** Probability of faults at both ends of a message of discovery. */
const BOTH_ENDS = 0.3;

/** Runs the storms. Invariant: at most one storm at a time. */
export class Storm {
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #window: FaultWindow;
  readonly #blows: Blows;
  #weather: Weather | null = null;
  /** storms so far: every second one concerns elections */
  #number = 0;

  constructor(cluster: Cluster, chance: Chance, window: FaultWindow, memory: MemoryLoss) {
    this.#cluster = cluster;
    this.#chance = chance;
    this.#window = window;
    this.#blows = new Blows(cluster, chance, window, memory);
  }

  /** Whether the active storm hits writes. */
  get isOverWrites(): boolean {
    return this.#weather === BROADCAST;
  }

  /** Begins a storm. @param elect makes the ensemble elect another leader @returns false if a storm is already active */
  begin(elect: () => void): boolean {
    if (this.#weather !== null) return false;
    this.#number += 1;
    const isElection = this.#number % 2 === 1;
    this.#weather = isElection ? DISCOVERY : BROADCAST;
    const { tickTimeMs } = this.#cluster.config;
    this.#window.after(this.#chance.between(4, 16) * tickTimeMs, () => {
      this.#weather = null;
    });
    if (isElection) elect();
    return true;
  }

  /** Handles the delivery of messages. @returns whether they are lost */
  meet(from: Sid, to: Sid, messages: readonly PeerMessage[]): boolean {
    const weather = this.#weather;
    if (weather === null) return false;
    const met = messages.find(({ type }) => weather[type] !== undefined);
    if (met === undefined) return false;
    const { density, blows } = weather[met.type] ?? { density: 0, blows: [] };
    if (!this.#chance.chance(density)) return false;
    const lost = this.#strike(blows, met.type, from, to);
    const isDouble = weather === DISCOVERY && this.#chance.chance(BOTH_ENDS);
    return (isDouble && this.#strike(blows, met.type, from, to)) || lost;
  }

  #strike(blows: readonly Blow[], type: string, from: Sid, to: Sid): boolean {
    const blow = this.#chance.oneOf(blows);
    this.#cluster.onLine?.(`storm at ${type} of ${from} to ${to}: ${blow}`);
    return this.#blows.strike(blow, from, to);
  }
}
