/** Bodies of the fault endpoints. Every number is bounded, and every fault that lasts ends by itself. */
import * as v from "valibot";
import { FAULT_DELAY_MS_MAX, FAULT_SKEW_MS_MAX, FAULT_TTL_MS } from "../config.ts";

const ms = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));

const ttl = { ttlMs: v.optional(ms(1, FAULT_TTL_MS.max), FAULT_TTL_MS.default) };
const sid = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(9));
const scope = {
  ...ttl,
  peers: v.optional(v.pipe(v.array(sid), v.minLength(1), v.maxLength(9))),
  direction: v.optional(v.picklist(["in", "out", "both"])),
};
const random = {
  probability: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
  seed: v.optional(ms(0, 2 ** 31 - 1)),
};

/** Carries it out even if no majority remains whole. */
const force = { force: v.optional(v.boolean(), false) };

const none = v.strictObject({});
/** A kill has no time limit unless one is given. */
const kill = v.strictObject({ ttlMs: v.optional(v.nullable(ms(1, FAULT_TTL_MS.max)), null) });

/** *map fault → schema of its body*; a missing body counts as an empty one */
export const nodeFaultBodies = {
  crash: none,
  evict: none,
  wipe: v.strictObject(force),
  corrupt: v.strictObject({ ...ttl, ...force, row: v.optional(v.picklist(["oldest", "newest"]), "newest") }),
  kill,
  pause: v.strictObject(ttl),
  isolate: v.strictObject(scope),
  drop: v.strictObject({ ...scope, ...random }),
  delay: v.strictObject({
    ...scope,
    seed: random.seed,
    delayMs: ms(0, FAULT_DELAY_MS_MAX),
    jitterMs: v.optional(ms(0, FAULT_DELAY_MS_MAX), 0),
  }),
  duplicate: v.strictObject({ ...scope, ...random }),
  "lose-return": v.strictObject({ ...scope, ...random }),
  skew: v.strictObject({ ...ttl, skewMs: ms(-FAULT_SKEW_MS_MAX, FAULT_SKEW_MS_MAX) }),
  "slow-storage": v.strictObject({ ...ttl, delayMs: ms(1, FAULT_DELAY_MS_MAX) }),
} as const;
/** Name of a fault of a node. */
export type NodeFaultName = keyof typeof nodeFaultBodies;

/** The same for a broker; faults of links affect all of its calls. */
export const brokerFaultBodies = {
  crash: none,
  kill,
  pause: v.strictObject(ttl),
  isolate: v.strictObject(ttl),
  drop: v.strictObject({ ...ttl, ...random }),
  delay: v.strictObject({
    ...ttl,
    seed: random.seed,
    delayMs: ms(0, FAULT_DELAY_MS_MAX),
    jitterMs: v.optional(ms(0, FAULT_DELAY_MS_MAX), 0),
  }),
  duplicate: v.strictObject({ ...ttl, ...random }),
  "lose-return": v.strictObject({ ...ttl, ...random }),
} as const;
/** Name of a fault of a broker. */
export type BrokerFaultName = keyof typeof brokerFaultBodies;

/** Faults that last until they are ended. */
export const LASTING = [
  ...["kill", "pause", "isolate", "drop", "delay", "duplicate", "lose-return", "skew", "slow-storage"],
  "corrupt",
] as const;

/** `POST /v1/faults/partition`: nodes that are in no group form another one. */
export const partitionBody = v.union(
  [
    v.strictObject({
      ...ttl,
      groups: v.pipe(
        v.array(v.pipe(v.array(sid), v.minLength(1), v.maxLength(9))),
        v.minLength(1),
        v.maxLength(9),
      ),
      /** only messages from an earlier group to a later one are lost */
      oneWay: v.optional(v.boolean(), false),
    }),
    v.strictObject({ ...ttl, ring: v.literal(true) }),
  ],
  "a partition is {groups, oneWay?, ttlMs?} or {ring: true, ttlMs?}",
);
