/** The queue of goals to post, connected to the API and to the store. */
import { backoffMs } from "../../api/backoff.ts";
import { addScore } from "../../api/calls.ts";
import { send, toProblem } from "../../api/http.ts";
import { randomId } from "../../api/random-id.ts";
import { type LiveState, type LiveStore, showToast } from "../../store/live-store.ts";
import { type Broker, PostQueue } from "./post-queue.ts";

/** Time limit of one attempt, ms. */
const ANSWER_MS_MAX = 10_000;
/** The same where tabs cannot wait for each other: their posts must leave connections free for other requests. */
const UNLOCKED_ANSWER_MS_MAX = 2_500;
const PAUSE_MS_MAX = 2_000;

/** Creates the queue of an ensemble. */
export const postQueue = (base: string, store: LiveStore): PostQueue =>
  new PostQueue({
    newKey: randomId,
    now: () => performance.now(),
    pause: (attempt) =>
      new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random(), PAUSE_MS_MAX))),
    alone: oneTabAtATime,
    answerMsMax: navigator.locks === undefined ? UNLOCKED_ANSWER_MS_MAX : ANSWER_MS_MAX,
    send: async ({ goal, key, broker }, signal) => {
      const target = pickTarget(store.getState(), broker);
      const response = await send(base, addScore({ ...target, goal, key }), signal);
      if (!response.ok) return toProblem(response);
      await response.text();
      return undefined;
    },
    onChange: (flights) => store.setState({ flights }),
    onStored: (stored) => store.setState({ stored }),
    onRefused: (_, problem) => {
      const hint = problem.status === 401 ? " Enter the access token under Help." : "";
      showToast(store, `The goal was refused: ${problem.message}.${hint}`, { bad: true });
    },
  });

/** One post at a time in all tabs; where the browser has no locks (not a secure origin), one in each tab. */
const oneTabAtATime = <T>(run: () => Promise<T>): Promise<T> =>
  navigator.locks === undefined ? run() : (navigator.locks.request("zooweeper post", run) as Promise<T>);

/** A random broker and node of those that are up; a chosen broker also if it is down. */
function pickTarget({ cluster, status }: LiveState, chosen: Broker) {
  const brokers = cluster?.brokers ?? [];
  const live = brokers.filter((broker) => broker.up).map((broker) => broker.id);
  const nodes = (status.view?.nodes ?? []).filter((node) => node.up).map((node) => node.sid);
  return {
    broker: chosen === "auto" ? (oneOf(live) ?? brokers[0]?.id ?? 0) : chosen,
    sid: oneOf(nodes) ?? 1,
    brokers: brokers.map((broker) => broker.id),
  };
}

const oneOf = (items: readonly number[]): number | undefined =>
  items[Math.floor(Math.random() * items.length)];
