/** Bindings of the Worker, and the name of the default ensemble. */
import { type RequestTimeouts, requestTimeouts } from "../../core/server/config.ts";
import { DEFAULT_ZAB_CONFIG } from "../../core/zab/config.ts";

/** Bindings. Those in wrangler.toml are generated; these are optional and set elsewhere. */
export interface ApiEnv extends Env {
  /** secret: the bearer token that every write needs unless `LOCAL` is "on" */
  readonly ZOOWEEPER_TOKEN?: string;
  /** local runs only: further hosts that the run answers to, separated by commas; see local-hosts.ts */
  readonly LOCAL_HOSTS?: string;
  /** local runs only: the directory of the objects' databases, so that a message can name a file in it */
  readonly LOCAL_OBJECTS_DIR?: string;
  /** local runs only: the port gateway, which can end and start demo clients */
  readonly GATEWAY?: Fetcher;
}

/** Timeouts of requests to the ensemble, which depend on its tick. */
export const timeoutsOf = (env: Env): RequestTimeouts =>
  requestTimeouts(Number(env.TICK_TIME_MS ?? DEFAULT_ZAB_CONFIG.tickTimeMs));

/** The ensemble of requests without `/e/{ensemble}`. */
export const DEFAULT_ENSEMBLE = "default";
