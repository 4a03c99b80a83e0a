/**
 * The simulator, as a page, a command or a test runs it. Nothing that it imports uses a platform, so it runs in a browser
 * and in a worker; parts that need Node are in `sim/node/`.
 */
export { type BrokerOptions, drawBrokerOptions } from "./broker/options.ts";
export { type BrokerRunResult, runBrokerSeed } from "./broker/run.ts";
export { RECORD_RULES } from "./checkers/records.ts";
export { RULE_TABLE, RULES, type Rule } from "./checkers/rules.ts";
export { Cluster, type ClusterOptions } from "./cluster.ts";
export { type RunResult, runSeed, type Tally } from "./run.ts";
export { drawOptions, FAULT_KINDS, type FaultKind, type Overrides, type SwarmOptions } from "./swarm.ts";
