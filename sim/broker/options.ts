/** The options of a seed of the broker profile: faults, their frequency, and the cluster. */
import type { ServerConfig } from "../../core/server/config.ts";
import { Chance } from "../random.ts";

/** The kinds of faults of brokers, partitions and the ensemble below them. */
export const BROKER_FAULTS = [
  "broker-crash",
  "broker-kill",
  "broker-cut",
  "broker-late-calls",
  "partition-crash",
  "partition-crash-at-effect",
  "partition-disk-full",
  "node-crash",
  "node-cut",
] as const;
/** One of {@link BROKER_FAULTS}. */
export type BrokerFaultKind = (typeof BROKER_FAULTS)[number];

/** A run: its size, its clients, its network and its faults. */
export interface BrokerOptions {
  readonly seed: number;
  /** members of the ensemble */
  readonly size: number;
  readonly brokers: number;
  readonly partitions: number;
  readonly producers: number;
  readonly readers: number;
  readonly tails: number;
  /** records that each producer sends */
  readonly records: number;
  readonly kinds: readonly BrokerFaultKind[];
  /** how long faults happen, ms */
  readonly chaosMs: number;
  /** pause between faults, ms: [least, most] */
  readonly everyMs: readonly [number, number];
  /** one way, ms: [least, most] */
  readonly latencyMs: readonly [number, number];
  readonly fsyncMs: readonly [number, number];
  /** bytes of a chunk of a partition's log: small ones make many */
  readonly chunkBytesMax: number;
  readonly cacheBytesMax: number;
  /** whether the ensemble and its brokers fall asleep while no client needs them */
  readonly quiet: boolean;
  readonly config: Partial<ServerConfig>;
}

/** The options of a seed. */
export function drawBrokerOptions(seed: number): BrokerOptions {
  const chance = new Chance(seed * 5_923 + 29);
  const share = chance.oneOf([0.3, 0.6, 1]);
  const kinds = BROKER_FAULTS.filter(() => chance.chance(share));
  const tickTimeMs = new Chance(seed * 2_713 + 3).oneOf([200, 500]);
  const quiet = new Chance(seed * 3_331 + 13).oneIn(3);
  return {
    seed,
    size: chance.oneOf([1, 3, 3, 3, 5]),
    brokers: chance.oneOf([1, 2, 3, 3, 4]),
    partitions: chance.between(1, 3),
    producers: chance.between(2, 5),
    readers: chance.between(1, 2),
    tails: chance.between(1, 3),
    records: chance.between(40, 120),
    kinds: kinds.length === 0 ? [chance.oneOf(BROKER_FAULTS)] : kinds,
    chaosMs: chance.between(15_000, 40_000),
    everyMs: chance.oneOf([
      [200, 1_500],
      [500, 4_000],
    ] as const),
    latencyMs: chance.oneOf([[1, 3] as const, [1, 15] as const]),
    fsyncMs: chance.oneOf([[0, 2] as const, [1, 20] as const]),
    chunkBytesMax: chance.oneOf([400, 1_500, 1_900_000]),
    cacheBytesMax: chance.oneOf([1, 2_000, 1_048_576]),
    quiet,
    config: { tickTimeMs, quietAfterMs: quiet ? 4 * tickTimeMs : 0 },
  };
}
