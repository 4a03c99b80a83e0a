/** What the routes of the Worker find in their context. */
import type { EnsembleClient } from "./clients/ensemble-client.ts";

/** Bindings. Those of wrangler.toml are generated; these here are optional and given outside of it. */
export interface ApiEnv extends Env {
  /** secret: the bearer token that every write needs unless `LOCAL` is "on" */
  readonly ZOOWEEPER_TOKEN?: string;
  /** local runs only: hosts beside loopback that it answers to, between commas; see local-hosts.ts */
  readonly LOCAL_HOSTS?: string;
  /** local runs only: the port gateway, which can end and start demo clients */
  readonly GATEWAY?: Fetcher;
}

/** The type argument of every Hono app of this Worker. */
export interface AppEnv {
  Bindings: ApiEnv;
  Variables: {
    /** names this request in answers and logs */
    requestId: string;
    /** name of the ensemble that the request is about; it exists, unless it is the default one */
    ensemble: string;
    /** client of that ensemble; founds the default ensemble on first use */
    zoo: EnsembleClient;
  };
}

/** The ensemble of requests without `/e/{ensemble}`. */
export const DEFAULT_ENSEMBLE = "default";
