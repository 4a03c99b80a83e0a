/** Feeds the store of one ensemble: three polls, two streams over a connection that all tabs share, and the queue of goals. */
import { backoffMs } from "../api/backoff.ts";
import { addScore, getCluster, getEnsemble, getFaults, getOffsets, readGoals, TOPIC } from "../api/calls.ts";
import { ApiProblem, send, sendJson, toProblem } from "../api/http.ts";
import type { LiveStreams, SocketLike } from "../api/live-socket.ts";
import { Poll, type TabChannel } from "../api/poll.ts";
import { randomId } from "../api/random-id.ts";
import { type TabPort, TabStreams } from "../api/shared-streams.ts";
import { socketUrl } from "../api/socket-url.ts";
import type {
  ClusterState,
  EnsembleState,
  FaultsState,
  Goal,
  ProtocolEvent,
  RecordsEvent,
  WireRecord,
} from "../api/types.ts";
import { lastElection } from "../features/election/election.ts";
import { foldOutage } from "../features/election/outage.ts";
import { takeEvents, takeStatus } from "../features/ensemble/status.ts";
import { takeFault, takeList } from "../features/faults/faults-known.ts";
import { GoalLog } from "../features/goals/goal-log.ts";
import { type Broker, PostQueue } from "../features/goals/post-queue.ts";
import { Liveness } from "../features/log/liveness.ts";
import { emitEvents, showToast, useLive } from "./live-store.ts";

const ENSEMBLE_MS = 1_000;
const CLUSTER_MS = 1_500;
const FAULTS_MS = 1_000;
/** Events, or goals, that arrive together are drawn together. */
const DRAW_MS = 120;
/** Goals read at first; earlier ones when the reader looks for them. */
const FIRST_ROWS = 200;
/** Wait for the answer to a post. */
const ANSWER_MS_MAX = 10_000;
/** The same where tabs cannot wait for each other: then their posts must leave connections to the rest in between. */
const UNLOCKED_ANSWER_MS_MAX = 2_500;

export interface Live {
  /** Asks for everything out of turn, since something was changed. */
  refresh(): void;
  /** Puts a goal into the queue. @returns whether there was room */
  post(goal: Goal, broker: Broker): boolean;
  /** Reads the goals of these offsets. */
  readGoals(from: number, to: number): Promise<void>;
  /** Whether anybody looks: a hidden page asks for nothing, and listens to no events, which cost the nodes work. */
  setVisible(visible: boolean): void;
  /** Whether the topic of the goals is there. */
  setHasGoals(there: boolean): void;
  close(): void;
}

/** Starts to feed the store for the API at `base`. */
export function startLive(base: string): Live {
  const polls = [ensemblePoll(base), clusterPoll(base), faultsPoll(base)];
  const streams = new TabStreams({
    hub: (onFail) => hubOf(base, onFail),
    open: () => new WebSocket(socketUrl(base)) as SocketLike,
  });
  const leave = (): void => streams.leave();
  addEventListener("pagehide", leave);
  const queue = postQueue(base);
  let events: (() => void) | undefined;
  let goals: (() => void) | undefined;
  let resume = "";
  return {
    refresh() {
      for (const poll of polls) poll.now();
    },
    post: (goal, broker) => queue.post(goal, broker),
    readGoals: (from, to) => readGoalsOf(base, from, to),
    setVisible(visible) {
      if (visible === (events !== undefined)) return;
      for (const poll of polls) visible ? poll.start() : poll.stop();
      events?.();
      events = visible
        ? streamEvents(
            streams,
            () => resume,
            (id) => {
              resume = id;
            },
          )
        : undefined;
    },
    setHasGoals(there) {
      if (there && goals === undefined) goals = streamGoals(streams, base);
      if (!there && goals === undefined) useLive.setState({ goalsStream: { type: "idle" } });
    },
    close() {
      for (const poll of polls) poll.close();
      events?.();
      goals?.();
      queue.close();
      removeEventListener("pagehide", leave);
      streams.close();
    },
  };
}

/** The worker of all tabs that show the API at `base`; undefined where the browser has none, as some telephones. */
function hubOf(base: string, onFail: () => void): TabPort | undefined {
  if (typeof SharedWorker === "undefined") return undefined;
  try {
    const worker = new SharedWorker(new URL("../live-worker.ts", import.meta.url), {
      type: "module",
      name: base,
    });
    worker.onerror = onFail;
    return worker.port as unknown as TabPort;
  } catch {
    return undefined;
  }
}

// ── polls ────────────────────────────────────────────────────────────────────

const tabs = (base: string, name: string): TabChannel | undefined =>
  typeof BroadcastChannel === "undefined"
    ? undefined
    : (new BroadcastChannel(`zooweeper ${base} ${name}`) as TabChannel);

const ensemblePoll = (base: string): Poll<EnsembleState> =>
  new Poll({
    everyMs: ENSEMBLE_MS,
    channel: tabs(base, "ensemble"),
    ask: (signal) => sendJson<EnsembleState>(base, getEnsemble, signal),
    onAnswer: (state, askedMs) =>
      useLive.setState(({ status }) => ({
        status: takeStatus(status, state, askedMs),
        answeredMs: Date.now(),
        problem: null,
      })),
    onProblem: (problem) => useLive.setState({ problem }),
  });

const clusterPoll = (base: string): Poll<ClusterState> =>
  new Poll({
    everyMs: CLUSTER_MS,
    channel: tabs(base, "cluster"),
    ask: (signal) => sendJson<ClusterState>(base, getCluster, signal),
    onAnswer: (cluster) =>
      useLive.setState((live) => ({
        cluster: isSame(live.cluster, cluster) ? live.cluster : cluster,
        clusterProblem: undefined,
      })),
    onProblem: ({ message }) => useLive.setState({ clusterProblem: message }),
  });

/** Faults answer 404 where they are switched off. */
const faultsPoll = (base: string): Poll<FaultsState | "off"> =>
  new Poll({
    everyMs: FAULTS_MS,
    channel: tabs(base, "faults"),
    ask: async (signal) => {
      try {
        return await sendJson<FaultsState>(base, getFaults, signal);
      } catch (error) {
        if (error instanceof ApiProblem && (error.status === 404 || error.status === 405)) return "off";
        throw error;
      }
    },
    onAnswer: (answer, askedMs) =>
      useLive.setState(({ faults }) => ({ faults: takeList(faults, answer, askedMs) })),
    // the status says that nothing is known
    onProblem: () => {},
  });

/** Plain data that came from the API, in the same order of keys. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

// ── events ───────────────────────────────────────────────────────────────────

function streamEvents(streams: LiveStreams, since: () => string, onId: (id: string) => void): () => void {
  const liveness = new Liveness();
  let waiting: ProtocolEvent[] = [];
  let history: ProtocolEvent[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const draw = (): void => {
    timer = undefined;
    const [before, fresh] = [history, waiting];
    history = [];
    waiting = [];
    takeFresh(before, fresh, liveness);
  };
  const stop = streams.stream({
    subscription: () => Promise.resolve({ subscribe: "events", since: since(), replay: "rare" }),
    onEvent: ({ event, id, data }) => {
      if (id !== "") onId(id);
      // a fault of a broker is of no node
      const told = { sid: 0, ...(data as Partial<ProtocolEvent>) } as ProtocolEvent;
      // what was before the page was opened is for the log, and for the last election
      if (event === "history") history.push(told);
      else waiting.push(event === "gap" ? { ...told, at: Date.now(), type: "gap" } : told);
      timer ??= setTimeout(draw, DRAW_MS);
    },
    onState: (eventsStream) => {
      if (eventsStream.type === "connecting") liveness.reset();
      useLive.setState({ eventsStream });
    },
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

function takeFresh(
  history: readonly ProtocolEvent[],
  events: readonly ProtocolEvent[],
  liveness: Liveness,
): void {
  const nowMs = Date.now();
  const { ring, status, outage, election, faults } = useLive.getState();
  const size = status.view?.size ?? 0;
  const before = [...history].sort((a, b) => a.at - b.at).filter((event) => ring.push(event));
  const fresh = events.filter((event) => ring.push(event));
  if (before.length + fresh.length === 0) return;
  // The log shows what the stream repeats; the ring only what happens.
  const live = liveness.live(
    fresh.filter((event) => event.type !== "gap"),
    nowMs,
  );
  const leader = status.view?.leader ?? null;
  const changed = [...before, ...fresh].some(({ type }) => type === "role" || type === "active");
  useLive.setState({
    ringVersion: ring.version,
    status: takeEvents(status, live, nowMs),
    faults: live.reduce((now, event) => takeFault(now, event, nowMs), faults),
    outage: live.reduce((now, event) => foldOutage(now, event, leader), outage),
    election: changed
      ? (lastElection(
          ring.list().map((seen) => seen.event),
          size,
        ) ?? election)
      : election,
  });
  emitEvents(live);
}

// ── goals ────────────────────────────────────────────────────────────────────

interface Offsets {
  readonly beginning_offset: number;
  readonly end_offset: number;
}

function streamGoals(streams: LiveStreams, base: string): () => void {
  let waiting: RecordsEvent[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** The next offset wanted; null: nothing was read yet. */
  let next: number | null = null;
  /** Resumes the stream, and only that of the same topic. */
  let lastId = "";
  const draw = (): void => {
    timer = undefined;
    const { goals } = useLive.getState();
    for (const { records, next_offset } of waiting) {
      goals.add(records, Math.min(next ?? 0, records[0]?.offset ?? next_offset), next_offset);
      next = Math.max(next ?? 0, next_offset);
    }
    waiting = [];
    useLive.setState({ goalsVersion: goals.version });
  };
  const flush = (): void => {
    clearTimeout(timer);
    if (timer !== undefined) draw();
  };
  const stop = streams.stream({
    subscription: async () => {
      flush();
      const { begin, end } = await bounds(base);
      const { goals } = useLive.getState();
      goals.setBounds(begin, end);
      useLive.setState({ goalsVersion: goals.version });
      const records = { subscribe: "records", topic: TOPIC, partition: 0 };
      if (next !== null && lastId !== "") return { ...records, since: lastId };
      next ??= Math.max(begin, end - FIRST_ROWS);
      return { ...records, offset: next };
    },
    onEnd: ({ code }) => {
      if (code !== "INCONSISTENT_TOPIC_ID" && code !== "OFFSET_OUT_OF_RANGE") return;
      // the topic was deleted and created again, or what was wanted next is deleted
      flush();
      next = null;
      lastId = "";
      const goals = new GoalLog();
      useLive.setState({ goals, goalsVersion: goals.version });
      showToast("The topic of the goals was deleted, at least in part: the list starts over.");
    },
    onEvent: ({ event, id, data }) => {
      if (id !== "") lastId = id;
      if (event !== "records") return;
      waiting.push(data as RecordsEvent);
      timer ??= setTimeout(draw, DRAW_MS);
    },
    onState: (goalsStream) => useLive.setState({ goalsStream }),
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

async function bounds(base: string): Promise<{ readonly begin: number; readonly end: number }> {
  try {
    const offsets = await sendJson<Offsets>(base, getOffsets, AbortSignal.timeout(5_000));
    return { begin: offsets.beginning_offset, end: offsets.end_offset };
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) throw new Error("no goal has been posted yet");
    throw error;
  }
}

/** @param to the offset behind the last one wanted */
async function readGoalsOf(base: string, from: number, to: number): Promise<void> {
  const { goals } = useLive.getState();
  for (let at = from; at < to; ) {
    const records = await sendJson<readonly WireRecord[]>(
      base,
      readGoals(at, to),
      AbortSignal.timeout(10_000),
    );
    const last = records.at(-1)?.offset;
    // an answer holds at most so many bytes; none at all says that nothing is left below `to`
    const upTo = last === undefined ? to : Math.min(to, last + 1);
    if (useLive.getState().goals !== goals) return;
    goals.add(records, at, upTo);
    at = upTo;
  }
  useLive.setState({ goalsVersion: goals.version });
}

// ── posts ────────────────────────────────────────────────────────────────────

function postQueue(base: string): PostQueue {
  return new PostQueue({
    newKey: randomId,
    now: () => performance.now(),
    pause: (attempt) =>
      new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random(), 2_000))),
    alone: aloneOfAllTabs,
    answerMsMax: navigator.locks === undefined ? UNLOCKED_ANSWER_MS_MAX : ANSWER_MS_MAX,
    send: async ({ goal, key, broker }, signal) => {
      const response = await send(base, addScore({ ...pickTarget(broker), goal, key }), signal);
      if (!response.ok) return toProblem(response);
      await response.text();
      return undefined;
    },
    onChange: (flights) => useLive.setState({ flights }),
    onStored: (stored) => useLive.setState({ stored }),
    onRefused: (_, problem) => {
      const hint = problem.status === 401 ? " Enter the access token under Help." : "";
      showToast(`The goal was refused: ${problem.message}.${hint}`, { bad: true });
    },
  });
}

/** One post at a time in all tabs; where the browser has no locks (not a secure origin), in each. */
const aloneOfAllTabs = <T>(run: () => Promise<T>): Promise<T> =>
  navigator.locks === undefined ? run() : (navigator.locks.request("zooweeper post", run) as Promise<T>);

/** A broker and a node that live, at random; the chosen broker even if it is down. */
function pickTarget(chosen: Broker) {
  const { cluster, status } = useLive.getState();
  const brokers = cluster?.brokers ?? [];
  const live = brokers.filter((broker) => broker.up).map((broker) => broker.id);
  const nodes = (status.view?.nodes ?? []).filter((node) => node.up).map((node) => node.sid);
  return {
    broker: chosen === "auto" ? (anyOf(live) ?? brokers[0]?.id ?? 0) : chosen,
    sid: anyOf(nodes) ?? 1,
    brokers: brokers.map((broker) => broker.id),
  };
}

const anyOf = (items: readonly number[]): number | undefined =>
  items[Math.floor(Math.random() * items.length)];
