/** Polled status: the ensemble, the brokers, and whether faults are switched on. */
import { useQuery } from "@tanstack/react-query";
import { getCluster, getEnsemble, getFaults } from "../api/calls.ts";
import { ApiProblem, sendJson } from "../api/http.ts";
import type { ClusterState, EnsembleState } from "../api/types.ts";

export const ensembleKey = (base: string) => ["ensemble", base] as const;
export const clusterKey = (base: string) => ["cluster", base] as const;

const ENSEMBLE_MS = 1_000;
const CLUSTER_MS = 1_500;

/** Polls while the page is visible; events fold into the same entry in between. */
export const useEnsemble = (base: string) =>
  useQuery({
    queryKey: ensembleKey(base),
    queryFn: ({ signal }) => sendJson<EnsembleState>(base, getEnsemble, signal),
    refetchInterval: ENSEMBLE_MS,
  });

export const useCluster = (base: string) =>
  useQuery({
    queryKey: clusterKey(base),
    queryFn: ({ signal }) => sendJson<ClusterState>(base, getCluster, signal),
    refetchInterval: CLUSTER_MS,
  });

export type FaultsSwitch = "on" | "off" | "unknown";

/** Faults answer 404 where they are switched off. */
export function useFaultsSwitch(base: string): FaultsSwitch {
  const { data } = useQuery({
    queryKey: ["faults", base],
    queryFn: async ({ signal }): Promise<FaultsSwitch> => {
      try {
        await sendJson<unknown>(base, getFaults, signal);
        return "on";
      } catch (error) {
        if (error instanceof ApiProblem && (error.status === 404 || error.status === 405)) return "off";
        throw error;
      }
    },
    refetchInterval: (query) => (query.state.data === undefined ? 2_000 : 30_000),
  });
  return data ?? "unknown";
}
