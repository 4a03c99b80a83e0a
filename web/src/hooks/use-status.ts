/** Polled status: the ensemble, the brokers, and whether faults are switched on. */
import { useQuery } from "@tanstack/react-query";
import { getCluster, getEnsemble, getFaults } from "../api/calls.ts";
import { ApiProblem, sendJson } from "../api/http.ts";
import type { ClusterState, EnsembleState, FaultsState } from "../api/types.ts";

export const ensembleKey = (base: string) => ["ensemble", base] as const;
export const clusterKey = (base: string) => ["cluster", base] as const;
export const faultsKey = (base: string) => ["faults", base] as const;

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

/** What is wrong with which node, as the nodes themselves say. */
export interface Faults {
  /** Whether faults can be made here. */
  readonly state: "on" | "off" | "unknown";
  /** *map sid → the names of the faults that are on* */
  readonly ofNode: ReadonlyMap<number, readonly string[]>;
}

const UNKNOWN: Faults = { state: "unknown", ofNode: new Map() };
const OFF: Faults = { state: "off", ofNode: new Map() };

/** Faults answer 404 where they are switched off. Looked at often while one is on, since each ends by itself. */
export function useFaults(base: string): Faults {
  const { data } = useQuery({
    queryKey: faultsKey(base),
    queryFn: async ({ signal }): Promise<Faults> => {
      try {
        const { nodes } = await sendJson<FaultsState>(base, getFaults, signal);
        const broken = nodes.filter(({ faults }) => faults.length > 0);
        return { state: "on", ofNode: new Map(broken.map((node) => [node.sid, namesOf(node)])) };
      } catch (error) {
        if (error instanceof ApiProblem && (error.status === 404 || error.status === 405)) return OFF;
        throw error;
      }
    },
    refetchInterval: ({ state }) =>
      state.data === undefined ? 2_000 : state.data.ofNode.size > 0 ? 1_000 : 30_000,
  });
  return data ?? UNKNOWN;
}

const namesOf = ({ faults }: FaultsState["nodes"][number]): string[] => faults.map(({ fault }) => fault);
