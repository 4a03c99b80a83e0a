/** Injects faults into nodes and brokers, and ends them. */
import type { Context } from "hono";
import type { FaultName } from "../../../durable-objects/shared/faults.ts";
import { CallTimeout, withTimeout } from "../../../durable-objects/shared/timeout.ts";
import { type NodeFault, UNKNOWN_PEERS } from "../../../durable-objects/zooweeper-node/rpc.ts";
import type { AppEnv } from "../app-env.ts";
import { brokerStub } from "../clients/broker-faults.ts";
import { damageOf, isInternal, reasonOfStop } from "../clients/damage.ts";
import { isRefusal, isReset, type NodeStub } from "../clients/node-stub.ts";
import { FAULT_MS, FAULT_TRIES_MAX } from "../config.ts";
import { quorumOf } from "../ensemble/quorum.ts";
import { ApiError } from "../http/errors.ts";

/** A wipe deletes data, and a corruption may: a majority of whole nodes has to remain. */
export const tooFewWhole = (left: number, size: number): ApiError =>
  new ApiError(
    "WOULD_LOSE_MAJORITY",
    `only ${left} of ${size} nodes would be left whole, ${quorumOf(size)} are needed; "force": true overrides this`,
  );

/**
 * Calls a node, and explains the failure if its database is damaged. An object that was loaded from such a database may be
 * unusable; the next call reaches a new one.
 */
async function reach<T>(
  c: Context<AppEnv>,
  sid: number,
  call: (node: NodeStub) => Promise<T>,
  triesLeft = FAULT_TRIES_MAX,
): Promise<T> {
  try {
    return await call(await c.var.zoo.node(sid));
  } catch (error) {
    if (triesLeft > 1 && isInternal(error)) return reach(c, sid, call, triesLeft - 1);
    const reason = reasonOfStop(c.env, sid, error) ?? damageOf(c.env, c.var.ensemble, sid, error)?.reason;
    if (reason === undefined) throw error;
    throw new ApiError("NODE_DOWN", `node ${sid} is down: ${reason}`);
  }
}

/** Injects a fault into a node. @throws ApiError WOULD_LOSE_MAJORITY, NODE_DOWN, NOT_FOUND, UNKNOWN_OUTCOME */
export function inflictOnNode(c: Context<AppEnv>, sid: number, order: NodeFault): Promise<void> {
  return inflict("NODE_DOWN", order.fault, async () => {
    let left = await reach(c, sid, (node) => node.fault(order));
    if (left === UNKNOWN_PEERS) {
      left = await tooFewOthers(c, sid);
      if (left === undefined) await reach(c, sid, (node) => node.fault({ fault: "wipe", force: true }));
    }
    if (left !== undefined) throw tooFewWhole(left, await c.var.zoo.size());
    if (order.fault === "corrupt") throw new ApiError("NOT_FOUND", `the log of node ${sid} is empty`);
  });
}

/** Number of other nodes that serve, if it is too small; for a node that cannot check this itself. */
async function tooFewOthers(c: Context<AppEnv>, sid: number): Promise<number | undefined> {
  const views = await c.var.zoo.statuses();
  const left = views.filter((view) => view.sid !== sid && view.up && view.serving).length;
  return left < quorumOf(views.length) ? left : undefined;
}

/** @returns *map sid → faults that were ended* */
export async function healNodes(
  c: Context<AppEnv>,
  sids: readonly number[],
  fault?: FaultName,
): Promise<Readonly<Record<number, readonly FaultName[]>>> {
  const healed: Record<number, readonly FaultName[]> = {};
  await Promise.all(
    sids.map((sid) =>
      inflict("NODE_DOWN", "heal", async () => {
        healed[sid] = await (await c.var.zoo.node(sid)).heal(fault);
      }),
    ),
  );
  return healed;
}

/** An order to a node or broker: a fault, or the end of faults. */
type Order = NodeFault["fault"] | "heal";

/**
 * *map order → by which end of the object it is done*: `any` end, since it only loses the memory; its `own` end, whose error
 * names it; or `none`, because it does not end the object.
 */
const DONE_BY: Readonly<Record<Order, "any" | "own" | "none">> = {
  crash: "any",
  evict: "any",
  kill: "own",
  wipe: "own",
  corrupt: "own",
  pause: "none",
  isolate: "none",
  drop: "none",
  delay: "none",
  duplicate: "none",
  "lose-return": "none",
  skew: "none",
  "slow-storage": "none",
  heal: "none",
};

/** Whether the end of the object, with this error, carried out the order. */
const isDone = (order: Order, { message }: Error): boolean =>
  DONE_BY[order] === "any" || (DONE_BY[order] === "own" && message.includes(order));

/** Calls the target, again if another fault ended the object before this order was carried out. */
export async function inflict(
  code: "NODE_DOWN" | "BROKER_NOT_AVAILABLE",
  order: Order,
  call: () => Promise<void>,
): Promise<void> {
  const died = new ApiError("UNKNOWN_OUTCOME", "it died during the request");
  for (let tries = 1; ; tries++) {
    try {
      await withTimeout(call(), FAULT_MS);
      return;
    } catch (error) {
      // the first attempt may have been carried out, which leaves too few whole nodes
      if (tries > 1 && error instanceof ApiError && error.code === "WOULD_LOSE_MAJORITY") throw died;
      if (error instanceof ApiError) throw error;
      if (error instanceof CallTimeout) throw new ApiError("UNKNOWN_OUTCOME", error.message);
      if (isRefusal(error))
        throw new ApiError(code, "it is already killed; revive it first", { retryable: false });
      if (!isReset(error)) throw error;
      if (isDone(order, error as Error)) return;
      if (tries === FAULT_TRIES_MAX) throw died;
    }
  }
}

/** @returns the faults that were ended */
export async function healBroker(
  c: Context<AppEnv>,
  id: number,
  fault?: FaultName,
): Promise<readonly FaultName[]> {
  let healed: readonly FaultName[] = [];
  await inflict("BROKER_NOT_AVAILABLE", "heal", async () => {
    healed = await brokerStub(c.env, c.var.ensemble, id).heal(fault);
  });
  return healed;
}
