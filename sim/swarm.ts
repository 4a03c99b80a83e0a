/**
 * The options of a seed: kinds and frequency of faults, and the ensemble, network, disks and clients. Every run has another
 * combination, so that no fault always hides another (swarm testing).
 */
import type { ServerConfig } from "../core/server/config.ts";
import { FIRST_VERSION, PROTOCOL_VERSION } from "../core/version.ts";
import type { ClientOptions } from "./clients/client-world.ts";
import { RACE_SESSION_TICKS } from "./clients/wake-race.ts";
import { isTreeDamage, TREE_DAMAGE_KINDS } from "./nemesis/tree-damage.ts";
import { Chance } from "./random.ts";

/** All kinds of faults. */
export const FAULT_KINDS = [
  "call-lost",
  "return-lost",
  "duplicate",
  "reorder",
  "delay",
  "slow-member",
  "clog",
  "swizzle-clog",
  "partition",
  "one-way",
  "isolate",
  "majorities-ring",
  "crash",
  "crash-at-write",
  "crash-at-send",
  "early-proposal",
  "at-message",
  "comeback",
  "torn-batch",
  "evict",
  "restart-all",
  "rolling-restart",
  "pause",
  "wipe",
  "rollback",
  "bit-flip",
  "truncation",
  "misplaced",
  "clock-jump",
  "clock-freeze",
  "clock-skew",
  "alarm-late",
  "alarm-lost",
  "alarm-overdue",
  "alarm-needless",
  "twin",
  "disk-full",
  "cut-behind-request",
  "storm",
  ...TREE_DAMAGE_KINDS,
] as const;
/** Name of a kind of fault. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Kinds that most runs have, because each covers many faults. */
const OFTEN: readonly FaultKind[] = ["at-message", "comeback", "crash"];

/** Kinds with a random source of their own, so that seeds without them keep their runs. */
const APART: readonly FaultKind[] = ["disk-full", "cut-behind-request", "storm"];

/** Kinds that make the length of a silence uncertain, so that a checker that measures silences proves nothing under them. */
const TIME_KINDS: readonly FaultKind[] = [
  "clock-jump",
  "clock-freeze",
  "clock-skew",
  "alarm-late",
  "alarm-lost",
  "alarm-overdue",
];

/** Kinds that the core does not tolerate yet. */
export const OFF: readonly FaultKind[] = [];

/** Options of a run; times in ms, probabilities from 0 to 1. */
export interface SwarmOptions {
  readonly seed: number;
  readonly size: number;
  readonly kinds: readonly FaultKind[];
  /** duration of the faults; ms */
  readonly chaosMs: number;
  /** pause between faults, ms: [least, most] */
  readonly everyMs: readonly [number, number];
  readonly latencyMs: readonly [number, number];
  readonly fsyncMs: readonly [number, number];
  /** duration of a turn of I/O, in which requests are batched; ms: [least, most] */
  readonly yieldMs: readonly [number, number];
  /** start of the run, ms since 1970 */
  readonly startAt: number;
  /** see `ClusterOptions` */
  readonly bootBase: number;
  /** versions of the protocol, one of which each life of a member runs, as in a deploy or a rollback */
  readonly versions: readonly [number, number];
  /** see `ClusterOptions` */
  readonly crossing: boolean;
  /** see `ClusterOptions` */
  readonly ordered: boolean;
  /** share of the turns after which clean znodes leave the memory of a member, 0 to 1 */
  readonly evictions: number;
  /** whether members are created one after the other, and one is then away until others have written */
  readonly oneByOne: boolean;
  /** how often the ensemble loses its leader immediately after it has woken; see `wake-race.ts` */
  readonly wakeRaces: number;
  /** how often a heartbeat is lost while nothing else shows that its session lives; see `silence.ts` */
  readonly silences: number;
  readonly clients: number;
  /** clients without a connection */
  readonly httpClients: number;
  /** owners of sessions that hibernate and wake with the ensemble */
  readonly owners: number;
  /** readers of watch streams */
  readonly streamReaders: number;
  readonly ops: number;
  readonly client: ClientOptions;
  readonly config: Partial<ServerConfig>;
}

/** Options that replace random ones, to replay a run or to make a failing one smaller. */
export interface Overrides {
  readonly size?: number;
  readonly kinds?: readonly FaultKind[];
  readonly chaosMs?: number;
  readonly ops?: number;
  readonly clients?: number;
}

const SIZES = [1, 3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 7, 9];
/** Start times of runs, from which the numbers of first lives follow: a current one, and some shortly before 32 bits overflow. */
const STARTS = [1_000_000, 1_764_000_000_000, 411 * 2 ** 32 - 30_000, 2 ** 31 - 30_000];
const BOOTS = [0, 1_764_000_000_000, 411 * 2 ** 32 - 4, 2 ** 31 - 4];

/** One version in most runs, otherwise two successive ones: each version reads the state that the next one stores. */
function drawVersions(chance: Chance): readonly [number, number] {
  if (!chance.oneIn(4)) return [PROTOCOL_VERSION, PROTOCOL_VERSION];
  const older = chance.oneOf([FIRST_VERSION, PROTOCOL_VERSION - 1, PROTOCOL_VERSION]);
  return [older, older + 1];
}

/** The options of a seed. */
export function drawOptions(seed: number, overrides: Overrides = {}): SwarmOptions {
  return { ...draw(seed), ...overrides };
}

function draw(seed: number): SwarmOptions {
  const chance = new Chance(seed * 7919 + 17);
  const size = chance.oneOf(SIZES);
  const share = chance.oneOf([0.15, 0.3, 0.6]);
  const usual = FAULT_KINDS.filter((kind) => {
    if (isTreeDamage(kind) || APART.includes(kind)) return false;
    const often = OFTEN.includes(kind) ? Math.max(share, 0.6) : share;
    return !OFF.includes(kind) && chance.chance(often);
  });
  const heavy = chance.oneIn(6);
  const wakeRaces = size > 1 && new Chance(seed * 9_091 + 19).oneIn(5) ? 3 : 0;
  const silences = size > 2 && wakeRaces === 0 && new Chance(seed * 5_779 + 43).oneIn(4) ? 7 : 0;
  const usualTick = chance.oneOf([200, 500, 1000, 1000]);
  // A silence takes many ticks, and earlier faults must be over.
  const tickTimeMs = silences > 0 ? 200 : usualTick;
  // Damage to trees has a random source of its own, so that seeds without it keep their runs. Few other kinds accompany it,
  // so that it happens often in such a run.
  const damage = new Chance(seed * 6_151 + 3);
  const damaged = damage.oneIn(3)
    ? [
        ...usual.filter(() => damage.oneIn(2)),
        ...TREE_DAMAGE_KINDS.filter((kind) => !OFF.includes(kind) && damage.oneIn(2)),
      ]
    : usual;
  const apart = new Chance(seed * 3_541 + 23);
  const races = new Chance(seed * 8_837 + 5);
  const storms = new Chance(seed * 6_793 + 37);
  const drawn: readonly FaultKind[] = [
    ...damaged,
    ...(apart.oneIn(6) ? (["disk-full"] as const) : []),
    ...(races.oneIn(5) ? (["cut-behind-request"] as const) : []),
    // In a storm members forget, and while they do no tree is damaged.
    ...(storms.oneIn(2) && !damaged.some(isTreeDamage) ? (["storm"] as const) : []),
  ];
  const kinds = drawn.filter((kind) => !OFF.includes(kind) && (silences === 0 || !TIME_KINDS.includes(kind)));
  const slow = !heavy && chance.oneIn(4);
  const manners = new Chance(seed * 3_373 + 53);
  const streams = new Chance(seed * 4_219 + 7);
  return {
    seed,
    size,
    kinds,
    chaosMs: chance.between(50_000, 100_000),
    everyMs:
      heavy || silences > 0
        ? [2_000, 15_000]
        : chance.oneOf([
            [50, 600],
            [200, 3_000],
            [200, 3_000],
            [1_000, 8_000],
            [2_000, 15_000],
          ] as const),
    latencyMs: slow ? [1, 40] : chance.oneOf([[1, 2] as const, [1, 8] as const]),
    fsyncMs: slow ? [0, 25] : chance.oneOf([[0, 1] as const, [1, 6] as const]),
    yieldMs: [0, chance.oneOf([0, 3, 30])],
    startAt: chance.oneOf(STARTS),
    bootBase: chance.oneOf(BOOTS),
    versions: drawVersions(new Chance(seed * 7_717 + 11)),
    crossing: apart.oneIn(5),
    evictions: new Chance(seed * 2_311 + 41).oneOf([0, 0.02, 0.2, 1]),
    oneByOne: apart.oneIn(8),
    ordered: apart.oneIn(2),
    wakeRaces,
    silences,
    clients: heavy ? 10 : chance.between(2, 7),
    httpClients: chance.between(1, 3),
    owners: wakeRaces > 0 ? 0 : chance.below(3),
    streamReaders: streams.oneIn(5) ? streams.between(3, 6) : 0,
    ops: heavy ? chance.between(3_500, 4_500) : chance.between(700, 1_400),
    client: {
      thinkMs: heavy ? [1, 12] : chance.oneOf([[1, 300] as const, [50, 1_000] as const]),
      pipeline: chance.oneOf([1, 1, 2, 8, 20]),
      sessionTimeoutMs: (wakeRaces > 0 ? RACE_SESSION_TICKS : chance.oneOf([4, 6, 12])) * tickTimeMs,
      move: chance.oneOf([0, 0.005, 0.03]),
      vanish: chance.oneOf([0, 0.002, 0.01]),
      close: chance.oneOf([0, 0.005, 0.02]),
      breakOff: manners.oneOf([0, 0, 0.02, 0.1]),
      returns: manners.oneIn(2),
      bounded: apart.oneIn(4),
    },
    config: {
      tickTimeMs,
      logRetainTxns: chance.oneOf([0, 0, 3, 20, 200, 10_000]),
      checkpointChangesMax: chance.oneOf([1, 5, 5, 30, 1_000]),
      batchesInFlightMax: chance.oneOf([1, 2, 4]),
      learnerInFlightMax: chance.oneOf([1, 2, 4]),
      snapChunkBytesMax: chance.oneOf([150, 600, 2_000, 524_288]),
      batchBytesMax: chance.oneOf([200, 1_000, 262_144]),
      counterMax: chance.oneOf([20, 200, 100_000, 100_000]),
      requestTimeoutMs: chance.oneOf([2, 5]) * tickTimeMs,
      queueLengthMax: chance.oneOf([4, 65_536, 65_536, 65_536]),
      quietAfterMs: chance.oneOf([0, 4 * tickTimeMs]),
      // A member that was away for a moment needs a SNAP while requests of its clients are pending.
      ...(kinds.includes("cut-behind-request") && {
        logRetainTxns: 0,
        checkpointChangesMax: 1,
        requestTimeoutMs: 5 * tickTimeMs,
      }),
      ...(silences > 0 && { quietAfterMs: 0 }),
      ...(wakeRaces > 0 && { quietAfterMs: 4 * tickTimeMs, requestTimeoutMs: 5 * tickTimeMs }),
    },
  };
}
