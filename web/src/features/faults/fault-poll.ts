/** Polls the active faults into the store. */
import { getFaults } from "../../api/calls.ts";
import { ApiProblem, sendJson } from "../../api/http.ts";
import { Poll } from "../../api/poll.ts";
import { tabChannel } from "../../api/tab-channel.ts";
import type { FaultsState } from "../../api/types.ts";
import type { LiveStore } from "../../store/live-store.ts";
import { takeList } from "./faults-known.ts";

const EVERY_MS = 1_000;

/** The answer is "off" where faults are switched off: the route is 404 there. */
export const faultPoll = (base: string, store: LiveStore): Poll<FaultsState | "off"> =>
  new Poll({
    everyMs: EVERY_MS,
    channel: tabChannel(base, "faults"),
    ask: async (signal) => {
      try {
        return await sendJson<FaultsState>(base, getFaults, signal);
      } catch (error) {
        if (error instanceof ApiProblem && (error.status === 404 || error.status === 405)) return "off";
        throw error;
      }
    },
    onAnswer: (answer, askedMs) =>
      store.setState(({ faults }) => ({ faults: takeList(faults, answer, askedMs) })),
    // the status poll reports that the API does not answer
    onProblem: () => {},
  });
