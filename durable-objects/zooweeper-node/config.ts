/** Limits and timeouts of a node; those of the core are in `core/server/config.ts`. */
import { makeServerConfig, type ServerConfig } from "../../core/server/config.ts";

/** What the node needs of its environment: a deployment may leave out the variables, which have defaults. */
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

/** Shortest time between two upkeeps of the storage, ms: each may write a row, which is paid for. */
export const UPKEEP_MS = 10_000;

/** Longest wait of `waitForChange`, ms: the wait of a caller that is gone must end. */
export const WAIT_MS_MAX = 60_000;

/** Longest wait for a peer's status before this node may lose its storage, ms. */
export const WHOLE_MS = 1_000;
/** Number of attempts to find a majority of whole peers: another node may have been asking at the same time. */
export const WHOLE_TRIES = 3;
/** Longest random pause between two of these attempts, ms. */
export const WHOLE_PAUSE_MS = 100;

/** Time for the last event to leave before a fault aborts this object, ms. */
export const FAREWELL_MS = 10;

/** Longest wait of a peer's call for its predecessor, ms. A lost call breaks the link, so this covers a slow write only. */
export const CALL_WAIT_MS = 1_000;
