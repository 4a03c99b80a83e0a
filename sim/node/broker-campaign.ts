/** Runs many seeds of the broker profile, and sums up their figures. */

import { BROKER_FAULTS, drawBrokerOptions } from "../broker/options.ts";
import { type BrokerTally, runBrokerSeed } from "../broker/run.ts";
import { RECORD_RULES } from "../checkers/records.ts";
import type { Failure } from "./campaign.ts";

/** One seed in this many runs twice, and both runs must be equal. */
const TWICE_EVERY = 50;
/** Maximum of failures; more prove nothing new. */
const FAILURES_MAX = 5;

/** Outcome of runs of brokers. */
export interface BrokerCampaignResult {
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly tally: BrokerTally;
  readonly seconds: number;
}

/** Runs seeds one after the other. */
export function runBrokerSeeds(
  first: number,
  count: number,
  progress: (done: number, failures: number) => void = () => {},
): BrokerCampaignResult {
  const began = Date.now();
  const tally: BrokerTally = {};
  const failures: Failure[] = [];
  let seeds = 0;
  for (let seed = first; seed < first + count && failures.length < FAILURES_MAX; seed++) {
    const result = runBrokerSeed(drawBrokerOptions(seed));
    seeds += 1;
    for (const [name, by] of Object.entries(result.tally)) tally[name] = (tally[name] ?? 0) + by;
    if (result.failure !== null) failures.push({ seed, what: result.failure });
    else if (seed % TWICE_EVERY === 0 && runBrokerSeed(drawBrokerOptions(seed)).hash !== result.hash)
      failures.push({ seed, what: "[Determinism] two runs of this seed differ" });
    progress(seeds, failures.length);
  }
  return { seeds, failures, tally, seconds: (Date.now() - began) / 1000 };
}

/** Events that a campaign of a few dozen seeds must produce; otherwise it proves nothing about them. */
const PROBES: readonly string[] = [
  ...BROKER_FAULTS.map((kind) => `fault ${kind}`),
  ...Object.keys(RECORD_RULES).map((rule) => `rule ${rule}`),
  ...["records acknowledged", "records replayed", "tail frames", "partition crash", "broker crash"],
  ...["append FENCED_LEADER_EPOCH", "append KAFKA_STORAGE_ERROR", "churn create ok", "churn delete ok"],
  ...["broker asleep", "broker woken"],
  ...["partition crash before persist", "partition crash after persist", "partition crash before respond"],
];

/** The expected events that never happened. */
export const missedBrokerProbes = (tally: BrokerTally): readonly string[] =>
  PROBES.filter((probe) => (tally[probe] ?? 0) === 0);

/** One line of a campaign's figures. */
export const brokerFigures = ({ seeds, failures, tally, seconds }: BrokerCampaignResult) => ({
  profile: "broker",
  seeds,
  failed: failures.length,
  records: tally["records at the end"] ?? 0,
  commits: tally.commits ?? 0,
  simulatedHours: Math.round(((tally["simulated ms"] ?? 0) / 3_600_000) * 100) / 100,
  seconds,
});

/** Runs one seed, and prints all its events. @returns whether it failed */
export function traceBrokerSeed(seed: number): boolean {
  const options = drawBrokerOptions(seed);
  console.log(`seed ${seed} of the broker's profile, options: ${JSON.stringify(options)}`);
  return runBrokerSeed(options, (line) => console.log(line)).failure !== null;
}

/** The command that replays a failing seed. */
export const replayBrokerLine = (seed: number): string =>
  `npm run sim -- --profile broker --seed ${seed} --trace`;
