/** Requests of the fault endpoints: targets, faults, and the cuts of a partition. */
import type { Context } from "hono";
import type * as v from "valibot";
import type { FaultName } from "../../../durable-objects/shared/faults.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerCountOf } from "../clients/broker-faults.ts";
import { sidsOf } from "../clients/ensemble-client.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { bodyAs } from "../http/json-body.ts";
import { parseInteger } from "../http/params.ts";
import { type Cut, cutsOfGroups, cutsOfRing } from "./cuts.ts";
import type { partitionBody } from "./schema.ts";

/** One node, or `all`. */
export async function targetSids(c: Context<AppEnv>, text: string): Promise<readonly number[]> {
  if (text === "all") return sidsOf(await c.var.zoo.size());
  const sid = parseInteger("sid", text, 1, 9);
  await c.var.zoo.node(sid);
  return [sid];
}

/** The targets in an answer; `node` only if there is one. */
export const nodesOf = (sids: readonly number[]) => ({
  ...(sids.length === 1 ? { node: sids[0] } : {}),
  nodes: sids,
});

/** *map action → the fault that it ends*; undefined: all */
export const ENDS = { revive: "kill", resume: "pause", heal: undefined } as const;
/** Whether the action ends faults. */
export const isEnd = (name: string): name is keyof typeof ENDS => Object.hasOwn(ENDS, name);

/** @throws ApiError NOT_FOUND */
export function lastingOf(text: string, names: readonly FaultName[]): FaultName {
  const fault = names.find((name) => name === text);
  if (fault !== undefined) return fault;
  throw new ApiError("NOT_FOUND", `the faults that can be ended are ${names.join(", ")}`);
}

/** Parses a fault and its body. @throws ApiError NOT_FOUND, BAD_ARGUMENTS */
export async function faultOf<T extends { readonly fault: string }>(
  c: Context<AppEnv>,
  name: string,
  bodies: Readonly<Record<string, v.GenericSchema>>,
): Promise<T> {
  const schema = Object.hasOwn(bodies, name) ? bodies[name] : undefined;
  if (schema === undefined) {
    const names = [...Object.keys(bodies), ...Object.keys(ENDS)];
    throw new ApiError("NOT_FOUND", `the faults are ${names.join(", ")}`);
  }
  return { fault: name, ...((await bodyAs(c, schema)) as object) } as unknown as T;
}

/** @throws ApiError BAD_ARGUMENTS for a node that is named twice or does not exist */
export async function checkPeers(c: Context<AppEnv>, peers: readonly number[]): Promise<void> {
  const size = await c.var.zoo.size();
  if (new Set(peers).size < peers.length) throw badArguments("a node is named twice");
  if (peers.some((peer) => peer > size)) throw badArguments(`the ensemble has the nodes 1 to ${size}`);
}

/** The cuts of a requested partition. @throws ApiError BAD_ARGUMENTS */
export async function cutsOf(
  c: Context<AppEnv>,
  body: v.InferOutput<typeof partitionBody>,
): Promise<readonly Cut[]> {
  const sids = sidsOf(await c.var.zoo.size());
  if ("ring" in body) return cutsOfRing(sids);
  await checkPeers(c, body.groups.flat());
  return cutsOfGroups(body.groups, sids, body.oneWay);
}

/** @throws ApiError NOT_FOUND */
export function brokerIdOf(c: Context<AppEnv>, text: string): number {
  const count = brokerCountOf(c.env);
  const id = parseInteger("id", text, 0, 2 ** 31 - 1);
  if (id >= count) throw new ApiError("NOT_FOUND", `there are the brokers 0 to ${count - 1}`);
  return id;
}
