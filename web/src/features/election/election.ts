/** Finds the last election in the events, so that it can be replayed slowly. */
import type { EnsembleState, NodeUp, ProtocolEvent } from "../../api/types.ts";

/** One election, from the loss of a leader to the next one. */
export interface Election {
  /** When the first node began to look, and when the new leader took over, by the nodes' clocks, ms since 1970. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** When the previous leader was lost: earlier than `sinceMs` if too few nodes were up to elect another. */
  readonly lostMs: number;
  readonly leader: number;
  readonly epoch: number;
  /** The previous leader; null if it is not known. */
  readonly before: number | null;
  /** Its events, by the nodes' clocks. */
  readonly events: readonly ProtocolEvent[];
}

/** Events that belong to an election. */
const PARTS: Readonly<Record<ProtocolEvent["type"], boolean>> = {
  vote: true,
  role: true,
  epoch: true,
  sync: true,
  active: true,
  link: true,
  propose: false,
  ack: false,
  commit: false,
  ping: false,
  fault: false,
  gap: false,
};
/** A pause this long between two votes or roles separates an election from earlier events, ms. */
const PAUSE_MS = 3_000;
/** The links to a lost leader break at most this long before the other nodes look for a new one, ms. */
const LINK_MS = 2_000;
/** Duration of an election among nodes that reach each other, at most, ms: a longer one had to wait for nodes or links. */
const QUICK_MS = 2_000;
/** Votes this far apart belong to different attempts, ms. */
const ATTEMPT_MS = 500;
/** Followers that join within this time after the leader belong to the election, ms. */
const TAIL_MS = 400;

const takesOver = (event: ProtocolEvent): boolean =>
  event.type === "role" && event.role === "LEADING" && event.phase === "BROADCAST";

const looks = (event: ProtocolEvent): boolean =>
  event.type === "vote" || (event.type === "role" && event.role === "LOOKING");

const breaks = (event: ProtocolEvent): boolean => event.type === "link" && event.up === false;

const bootOf = (id: string): string => id.split("-")[0] ?? "";

const joins = (event: ProtocolEvent): boolean => event.type === "link" && event.up === true;

/**
 * The last election whose beginning and end are in `events`, in any order; undefined if there is none.
 * @param size nodes of the ensemble
 */
export function lastElection(events: readonly ProtocolEvent[], size: number): Election | undefined {
  const parts = events.filter((event) => PARTS[event.type]).sort((a, b) => a.at - b.at);
  const won = parts.findLast(takesOver);
  if (won === undefined) return undefined;
  const end = parts.indexOf(won);
  const earlier = parts.slice(0, end);
  const since = earlier.slice(earlier.findLastIndex(takesOver) + 1);
  let looked: number | undefined;
  for (const event of since.filter(looks).reverse()) {
    if (looked !== undefined && looked - event.at > PAUSE_MS) break;
    looked = event.at;
  }
  if (looked === undefined) return undefined;
  const start = looked;
  const broken = since.filter((event) => breaks(event) && event.at <= start && event.at >= start - LINK_MS);
  const lost = broken[0]?.to;
  const before = earlier.findLast(takesOver)?.sid ?? (typeof lost === "number" ? lost : null);
  const noticed = broken.find((event) => event.to === before)?.at ?? start;
  const lostMs = Math.min(noticed, lossOf(since, earlier.findLast(takesOver), before, size) ?? noticed);
  const sinceMs = Math.max(noticed, attemptOf(since, lostMs, won.at, size));
  return {
    sinceMs,
    lostMs,
    untilMs: won.at,
    leader: won.sid,
    epoch: won.epoch ?? 0,
    before,
    events: parts.filter(
      (event, i) =>
        event.at >= sinceMs &&
        (i <= end || (event.at <= won.at + TAIL_MS && !looks(event) && !breaks(event))),
    ),
  };
}

/**
 * When the leader `before` lost its quorum or stepped down, or otherwise when the first of the nodes that look until the
 * end lost it; undefined if no event shows it.
 * @param taken when it took over, if that is known
 */
function lossOf(
  events: readonly ProtocolEvent[],
  taken: ProtocolEvent | undefined,
  before: number | null,
  size: number,
): number | undefined {
  // a node that restarts after a crash looks too, and was not the leader
  const own = events.filter(({ sid, id }) => sid === before && taken && bootOf(id) === bootOf(taken.id));
  const end = own.findIndex(looks);
  if (end >= 0) {
    const led = own.slice(0, end).filter(({ type }) => type === "active");
    const lonely = led.slice(led.findLastIndex(({ sids = [] }) => sids.length > size / 2) + 1);
    return (lonely[0] ?? own[end])?.at;
  }
  const looking = new Map<number, number>();
  for (const event of events) {
    if (event.role === "FOLLOWING" && event.phase === "BROADCAST") looking.delete(event.sid);
    else if (looks(event) && !looking.has(event.sid)) looking.set(event.sid, event.at);
  }
  for (const [sid, at] of looking) {
    const broken = events.find(
      (event) =>
        breaks(event) &&
        event.sid === sid &&
        event.to === before &&
        event.at <= at &&
        event.at >= at - LINK_MS,
    );
    if (broken !== undefined) return broken.at;
  }
  return undefined;
}

/**
 * When the successful attempt began: after a quorum of nodes was up, after the links between them were open if that took
 * long, and after the last of many failed attempts; 0 if none of these applies.
 * @param events from the previous leader to the new one, by time
 */
function attemptOf(events: readonly ProtocolEvent[], lostMs: number, wonMs: number, size: number): number {
  const within = events.filter((event) => event.at >= lostMs);
  const there = new Map<number, { readonly boot: string; readonly at: number }>();
  for (const { sid, id, at, type } of within) {
    const boot = bootOf(id);
    if (type !== "link" && there.get(sid)?.boot !== boot) there.set(sid, { boot, at });
  }
  const came = [...there.values()].map(({ at }) => at).sort((a, b) => a - b);
  const possibleMs = Math.max(came[Math.floor(size / 2)] ?? 0, lastRun(within.filter(joins)));
  if (possibleMs - lostMs >= ATTEMPT_MS || wonMs - lostMs > QUICK_MS)
    return Math.max(possibleMs, lastRun(within.filter(looks)));
  return 0;
}

/** When the last group of close events began; 0 if there are none. */
function lastRun(events: readonly ProtocolEvent[]): number {
  let began = events.at(-1)?.at ?? 0;
  for (const { at } of [...events].reverse()) {
    if (began - at > ATTEMPT_MS) break;
    began = at;
  }
  return began;
}

/** One step of the replay: the events of one millisecond. */
export interface Frame {
  /** Since the beginning of the election, ms. */
  readonly atMs: number;
  /** When it is shown, since the beginning of the replay, ms. */
  readonly showMs: number;
  readonly events: readonly ProtocolEvent[];
}

/** Duration of a replay, ms; each step is shown for at least and at most so long. */
const REPLAY_MS = 15_000;
const FRAME_MS_MIN = 700;
const FRAME_MS_MAX = 3_000;

/** The election as steps, whose distances in time are stretched and limited so that people can follow. */
export function framesOf({ sinceMs, untilMs, events }: Election): readonly Frame[] {
  const moments = Map.groupBy(events, ({ at }) => at);
  const stretch = REPLAY_MS / Math.max(1, untilMs - sinceMs);
  const frames: Frame[] = [];
  for (const [at, within] of moments) {
    const last = frames.at(-1);
    const apart = last === undefined ? 0 : (at - sinceMs - last.atMs) * stretch;
    const showMs =
      last === undefined ? 0 : last.showMs + Math.min(FRAME_MS_MAX, Math.max(FRAME_MS_MIN, apart));
    frames.push({ atMs: at - sinceMs, showMs, events: within });
  }
  return frames;
}

/** Time of a step in words. @param atMs since the beginning; followers may join after the end */
export function clockOf({ sinceMs, untilMs }: Election, atMs: number): string {
  const tookMs = untilMs - sinceMs;
  return atMs <= tookMs ? `${atMs} of ${tookMs} ms` : `${atMs - tookMs} ms after its end`;
}

/**
 * The ensemble just before the election, as far as it is known: all nodes are up and follow the previous leader.
 * @param view the ensemble as it is now
 */
export function stateBefore({ before, epoch, events }: Election, view: EnsembleState): EnsembleState {
  const some = view.nodes.find((node) => node.up);
  const nodes = view.nodes.map((node) => {
    const known: NodeUp | undefined = node.up ? node : (node.lost?.before ?? some);
    if (known === undefined) return node;
    // a node first votes for itself, and its vote contains its last zxid
    const vote = events.find(
      ({ type, sid, leader }) => type === "vote" && sid === node.sid && leader === sid,
    );
    const role = node.sid === before ? "LEADING" : before === null ? "LOOKING" : "FOLLOWING";
    const { lostBy: _, ...rest } = known;
    const shown: NodeUp = {
      ...rest,
      sid: node.sid,
      role,
      leader: before,
      phase: "BROADCAST",
      lastZxid: vote?.zxid ?? "",
      activeSet: [],
      pings: [],
      acceptedEpoch: epoch - 1,
      currentEpoch: epoch - 1,
    };
    return shown;
  });
  const hasQuorum = before !== null;
  return {
    ...view,
    nodes,
    leader: before,
    epoch: Math.max(0, epoch - 1),
    hasQuorum,
    reason: null,
    quiet: false,
  };
}
