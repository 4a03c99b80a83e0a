/** Limits and timeouts of a node; those of the core are in `core/server/config.ts`. */
import { makeServerConfig, type ServerConfig } from "../../core/server/config.ts";

/** The environment of a node. A deployment may omit the variables, which have defaults. */
export type NodeEnv = Pick<Env, "ZOOWEEPER_NODE"> &
  Partial<Pick<Env, "BROKER" | "FAULTS" | "TICK_TIME_MS" | "LOG_RETAIN_TXNS" | "QUIET_AFTER_MS">>;

/** The limits that a deployment may set; all others have their defaults. @throws AssertionError for a value out of range */
export function serverConfigOf(env: NodeEnv): ServerConfig {
  return makeServerConfig({
    ...(env.TICK_TIME_MS !== undefined && { tickTimeMs: Number(env.TICK_TIME_MS) }),
    ...(env.QUIET_AFTER_MS !== undefined && { quietAfterMs: Number(env.QUIET_AFTER_MS) }),
    ...(env.LOG_RETAIN_TXNS !== undefined && { logRetainTxns: Number(env.LOG_RETAIN_TXNS) }),
  });
}

/** A socket on `/ws` without a handshake is closed after this time, ms. */
export const HANDSHAKE_MS_MAX = 15_000;

/** Minimum interval between two upkeeps of the storage, ms: each may write a row, which has a price. */
export const UPKEEP_MS = 10_000;

/** Limit of children that are counted when a znode is read, in about 2 ms; larger numbers are stored. */
export const CHILDREN_COUNTED_MAX = 2_048;

/** Maximum duration of `waitForChange`, ms, so that the wait of a disconnected caller ends. */
export const WAIT_MS_MAX = 60_000;

/** Timeout of a peer's status, before this node may lose its storage, ms. */
export const WHOLE_MS = 1_000;
/** Number of attempts to find a majority of undamaged peers: another node may be trying at the same time. */
export const WHOLE_TRIES = 3;
/** Maximum random pause between two of these attempts, ms. */
export const WHOLE_PAUSE_MS = 100;

/** Delay before a fault aborts this object, in which the last event is sent, ms. */
export const FAREWELL_MS = 10;

/** Maximum wait of a peer's call for its predecessor, ms. A lost call breaks the link, so this only has to cover a slow write. */
export const CALL_WAIT_MS = 1_000;
