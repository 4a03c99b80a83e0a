/** The context of the Worker's routes. */
import type { EnsembleClient } from "./clients/ensemble-client.ts";
import type { ApiEnv } from "./env.ts";

/** The type argument of every Hono app of this Worker. */
export interface AppEnv {
  Bindings: ApiEnv;
  Variables: {
    /** names this request in answers and logs */
    requestId: string;
    /** name of the ensemble that the request addresses; it exists, unless it is the default one */
    ensemble: string;
    /** client of that ensemble; founds the default ensemble on first use */
    zoo: EnsembleClient;
  };
}
