/** The brokers' part of the store: written by the cluster poll. */
import type { ClusterState } from "../../api/types.ts";

/** State of the brokers and of their topics. */
export interface BrokersSlice {
  readonly cluster: ClusterState | undefined;
  /** Why the last poll failed; undefined after a success. */
  readonly clusterProblem: string | undefined;
}

/** The slice before the first answer. */
export const brokersSlice = (): BrokersSlice => ({ cluster: undefined, clusterProblem: undefined });
