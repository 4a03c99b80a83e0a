/** The bindings of the Worker, and the name of the ensemble that needs none. */

/** Bindings. Those of wrangler.toml are generated; these here are optional and given outside of it. */
export interface ApiEnv extends Env {
  /** secret: the bearer token that every write needs unless `LOCAL` is "on" */
  readonly ZOOWEEPER_TOKEN?: string;
  /** local runs only: hosts beside loopback that it answers to, between commas; see local-hosts.ts */
  readonly LOCAL_HOSTS?: string;
  /** local runs only: the directory of the objects' databases, so that a message can name a file in it */
  readonly LOCAL_OBJECTS_DIR?: string;
  /** local runs only: the port gateway, which can end and start demo clients */
  readonly GATEWAY?: Fetcher;
}

/** The ensemble of requests without `/e/{ensemble}`. */
export const DEFAULT_ENSEMBLE = "default";
