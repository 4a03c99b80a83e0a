/** Polls the status of the ensemble into the store. */
import { getEnsemble } from "../../api/calls.ts";
import { sendJson } from "../../api/http.ts";
import { Poll } from "../../api/poll.ts";
import { tabChannel } from "../../api/tab-channel.ts";
import type { EnsembleState } from "../../api/types.ts";
import type { LiveStore } from "../../store/live-store.ts";
import { takeStatus } from "./status.ts";

const EVERY_MS = 1_000;

/** Creates the poll; it runs once it is started. */
export const statusPoll = (base: string, store: LiveStore): Poll<EnsembleState> =>
  new Poll({
    everyMs: EVERY_MS,
    channel: tabChannel(base, "ensemble"),
    ask: (signal) => sendJson<EnsembleState>(base, getEnsemble, signal),
    onAnswer: (state, askedMs) =>
      store.setState(({ status }) => ({
        status: takeStatus(status, state, askedMs),
        answeredMs: Date.now(),
        problem: null,
      })),
    onProblem: (problem) => store.setState({ problem }),
  });
