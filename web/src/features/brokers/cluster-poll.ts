/** Polls brokers and topics into the store. */
import { getCluster } from "../../api/calls.ts";
import { sendJson } from "../../api/http.ts";
import { Poll } from "../../api/poll.ts";
import { tabChannel } from "../../api/tab-channel.ts";
import type { ClusterState } from "../../api/types.ts";
import type { LiveStore } from "../../store/live-store.ts";

const EVERY_MS = 1_500;

/** Creates the poll; it runs once it is started. */
export const clusterPoll = (base: string, store: LiveStore): Poll<ClusterState> =>
  new Poll({
    everyMs: EVERY_MS,
    channel: tabChannel(base, "cluster"),
    ask: (signal) => sendJson<ClusterState>(base, getCluster, signal),
    onAnswer: (cluster) =>
      store.setState((live) => ({
        cluster: isSame(live.cluster, cluster) ? live.cluster : cluster,
        clusterProblem: undefined,
      })),
    onProblem: ({ message }) => store.setState({ clusterProblem: message }),
  });

/** Compares answers of the API: the order of their members is fixed. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
