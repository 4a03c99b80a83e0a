/** A chaos scenario: format of its file, times of its steps, and their targets. */
import * as v from "valibot";
import {
  type BrokerFaultName,
  brokerFaultBodies,
  type NodeFaultName,
  nodeFaultBodies,
} from "../../workers/api/faults/schema.ts";
import { UsageError } from "../local.ts";

const HOUR_MS = 3_600_000;
const STEPS_MAX = 1_000;
const TIMES_MAX = 10_000;
/** Longest duration of a fault, ms, as over HTTP. */
const FOR_MS_MAX = 600_000;

/** Faults of the whole ensemble, made of cuts. */
const PARTITIONS = ["partition", "ring"];
/** Off switches. */
const ENDS = ["revive", "resume", "heal"];
const BROKER_FAULTS = [...Object.keys(brokerFaultBodies), ...ENDS];
/** Faults without a duration. */
const INSTANT = ["crash", "evict", "wipe", ...ENDS];

const ms = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most));
const TARGETS = ["leader", "follower", "random", "all", "minority", "majority"] as const;
const TARGET_HELP = `a target is a sid, ${TARGETS.join(", ")} or "broker 0"`;

const stepSchema = v.strictObject({
  /** ms since the start */
  at: v.optional(ms(HOUR_MS)),
  /** ms since the start time of the previous step */
  after: v.optional(ms(HOUR_MS)),
  fault: v.picklist([...Object.keys(nodeFaultBodies), ...PARTITIONS, ...ENDS]),
  target: v.optional(
    v.union(
      [
        v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(9)),
        v.picklist(TARGETS),
        v.pipe(v.string(), v.regex(/^broker \d{1,3}$/, TARGET_HELP)),
      ],
      TARGET_HELP,
    ),
  ),
  /** body of the fault's request, without `ttlMs` */
  params: v.optional(v.record(v.string(), v.unknown()), {}),
  /** duration, ms */
  for: v.optional(v.pipe(ms(FOR_MS_MAX), v.minValue(1))),
  /** number of repetitions */
  times: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(TIMES_MAX)), 1),
  /** ms between two repetitions */
  every: v.optional(v.pipe(ms(HOUR_MS), v.minValue(1))),
});
const scenarioSchema = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1))),
  /** ms between the last step and the healing */
  rest: v.optional(ms(HOUR_MS), 0),
  steps: v.pipe(v.array(stepSchema), v.minLength(1), v.maxLength(STEPS_MAX)),
});

/** One use of a fault. */
export type Step = v.InferOutput<typeof stepSchema>;

/** A step with its time. */
export interface Due {
  readonly atMs: number;
  readonly step: Step;
}

/** A scenario in order of time. */
export interface Scenario {
  readonly name: string;
  readonly seed: number | undefined;
  /** ordered by time */
  readonly plan: readonly Due[];
  /** when everything is healed, ms since the start */
  readonly endMs: number;
}

/** Parses a scenario. @throws UsageError of one line that says where it is invalid */
export function parseScenario(text: string): Scenario {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`no JSON: ${(error as Error).message}`);
  }
  const parsed = v.safeParse(scenarioSchema, json);
  if (!parsed.success) throw wrong(v.getDotPath(parsed.issues[0]) ?? "", parsed.issues[0].message);
  const { name, seed, rest, steps } = parsed.output;
  const plan: Due[] = [];
  let dueMs = 0;
  for (const [index, step] of steps.entries()) {
    checkStep(`steps.${index}`, step);
    dueMs = step.at ?? dueMs + (step.after ?? 0);
    for (let time = 0; time < step.times; time++) plan.push({ atMs: dueMs + time * (step.every ?? 0), step });
  }
  plan.sort((a, b) => a.atMs - b.atMs);
  const endMs = Math.max(...plan.map(({ atMs, step }) => atMs + (step.for ?? 0))) + rest;
  if (endMs > HOUR_MS) throw new UsageError("a scenario lasts an hour at most");
  return { name, seed, plan, endMs };
}

const wrong = (where: string, what: string): UsageError =>
  new UsageError(where === "" ? what : `${where}: ${what}`);

/** Checks what the schema of a step cannot express. @throws UsageError */
function checkStep(where: string, step: Step): void {
  const { fault, target, params, times, every } = step;
  if (step.at !== undefined && step.after !== undefined) throw wrong(where, `"at" or "after", not both`);
  if (times > 1 !== (every !== undefined)) throw wrong(where, `"times" and "every" go together`);
  if (step.for !== undefined && INSTANT.includes(fault)) throw wrong(where, `${fault} has no duration`);
  const isBroker = typeof target === "string" && target.startsWith("broker");
  if (isBroker && !BROKER_FAULTS.includes(fault))
    throw wrong(where, `the faults of a broker are ${BROKER_FAULTS.join(", ")}`);
  if ((target === undefined) !== (fault === "ring"))
    throw wrong(where, fault === "ring" ? "a ring has no target" : "a target is missing");
  if ("ttlMs" in params) throw wrong(where, `"for" says how long a fault lasts, not "ttlMs"`);
  const parsed = v.safeParse(bodyOf(fault, isBroker), params);
  if (parsed.success) return;
  const at = v.getDotPath(parsed.issues[0]);
  throw wrong(`${where}.params${at === null ? "" : `.${at}`}`, parsed.issues[0].message);
}

function bodyOf(fault: string, isBroker: boolean): v.GenericSchema {
  if (ENDS.includes(fault) || fault === "ring") return v.strictObject({});
  if (fault === "partition") return v.strictObject({ oneWay: v.optional(v.boolean()) });
  return isBroker ? brokerFaultBodies[fault as BrokerFaultName] : nodeFaultBodies[fault as NodeFaultName];
}

/** The sids of a target. `random` is in [0, 1); undefined: there is no leader now. */
export function victimsOf(
  target: Step["target"],
  size: number,
  leader: number | null,
  random: () => number,
): readonly number[] | undefined {
  const sids = Array.from({ length: size }, (_, i) => i + 1);
  const minority = Math.floor((size - 1) / 2);
  switch (target) {
    case "leader":
      return leader === null ? undefined : [leader];
    case "follower":
      return leader === null
        ? undefined
        : pick(
            sids.filter((sid) => sid !== leader),
            1,
            random,
          );
    case "random":
      return pick(sids, 1, random);
    case "minority":
      return pick(sids, minority, random);
    case "majority":
      return pick(sids, size - minority, random);
    case "all":
    case undefined:
      return sids;
    default:
      return typeof target === "number" ? [target] : sids;
  }
}

/** A random choice of so many of them, ascending. */
function pick(sids: readonly number[], count: number, random: () => number): readonly number[] {
  const left = [...sids];
  const taken: number[] = [];
  while (taken.length < count && left.length > 0)
    taken.push(...left.splice(Math.floor(random() * left.length), 1));
  return taken.sort((a, b) => a - b);
}
