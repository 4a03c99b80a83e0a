/** The last election, cut out of the events, so that it can be watched again slowly. */
import type { EnsembleState, NodeUp, ProtocolEvent } from "../../api/types.ts";

export interface Election {
  /** By the nodes' clocks: when the first node began to look, and when the new leader took over, ms since 1970. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** When the leader before was lost: earlier than `sinceMs` while too few nodes were there to elect another. */
  readonly lostMs: number;
  readonly leader: number;
  readonly epoch: number;
  /** Who led before; null: nobody that is known. */
  readonly before: number | null;
  /** Its events, by the nodes' clocks. */
  readonly events: readonly ProtocolEvent[];
}

/** Events that an election is made of. */
const PARTS: ReadonlySet<string> = new Set(["vote", "role", "epoch", "sync", "active", "link"]);
/** A pause this long between two votes or roles parts an election from what was before, ms. */
const PAUSE_MS = 3_000;
/** The links to a leader that is gone break this long before the others look for a new one, at most, ms. */
const LINK_MS = 2_000;
/** An election of nodes that reach each other is over within this; what lasts longer waited for something, ms. */
const QUICK_MS = 2_000;
/** Votes this far apart belong to different attempts, ms. */
const ATTEMPT_MS = 500;
/** Followers that come right behind the leader belong to it, ms. */
const TAIL_MS = 400;

const takesOver = (event: ProtocolEvent): boolean =>
  event.type === "role" && event.role === "LEADING" && event.phase === "BROADCAST";

const looks = (event: ProtocolEvent): boolean =>
  event.type === "vote" || (event.type === "role" && event.role === "LOOKING");

const breaks = (event: ProtocolEvent): boolean => event.type === "link" && event.up === false;

const joins = (event: ProtocolEvent): boolean => event.type === "link" && event.up === true;

/**
 * The last election of which `events`, in any order, hold beginning and end; undefined when there is none.
 * @param size nodes of the ensemble
 */
export function lastElection(events: readonly ProtocolEvent[], size: number): Election | undefined {
  const parts = events.filter((event) => PARTS.has(event.type)).sort((a, b) => a.at - b.at);
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
  const resigned = since.find((event) => event.sid === before && looks(event));
  const lostMs = Math.min(noticed, resigned?.at ?? noticed);
  const within = since.filter((event) => event.at >= lostMs);
  const sinceMs = won.at - lostMs > QUICK_MS ? Math.max(lostMs, attemptOf(within, size)) : noticed;
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
 * When the attempt began that elected: not before a quorum of nodes was there, not before their last link came up, and not
 * before the last votes. The others vote meanwhile, in vain.
 * @param events from the loss of the leader to the new one, by time
 */
function attemptOf(events: readonly ProtocolEvent[], size: number): number {
  const there = new Map<number, { readonly boot: string; readonly at: number }>();
  for (const { sid, id, at, type } of events) {
    const boot = id.split("-")[0] ?? "";
    if (type !== "link" && there.get(sid)?.boot !== boot) there.set(sid, { boot, at });
  }
  const came = [...there.values()].map(({ at }) => at).sort((a, b) => a - b);
  return Math.max(
    came[Math.floor(size / 2)] ?? 0,
    lastRun(events.filter(looks)),
    lastRun(events.filter(joins)),
  );
}

/** When the last of the events that follow each other closely began; 0: there are none. */
function lastRun(events: readonly ProtocolEvent[]): number {
  let began = events.at(-1)?.at ?? 0;
  for (const { at } of [...events].reverse()) {
    if (began - at > ATTEMPT_MS) break;
    began = at;
  }
  return began;
}

/** A moment of the slow motion: what happened within one millisecond. */
export interface Frame {
  /** Since the beginning of the election, ms. */
  readonly atMs: number;
  /** When it is shown, since the beginning of the replay, ms. */
  readonly showMs: number;
  readonly events: readonly ProtocolEvent[];
}

/** How long a replay takes, but that a moment stays at least so long and at most so long in sight. */
const REPLAY_MS = 15_000;
const FRAME_MS_MIN = 700;
const FRAME_MS_MAX = 3_000;

/** The election as moments: their distances are stretched, and kept within limits that people can follow. */
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

/**
 * The ensemble just before the election, as far as it can be told: all nodes are there and follow the leader that was.
 * @param view the ensemble as it is now
 */
export function stateBefore({ before, epoch, events }: Election, view: EnsembleState): EnsembleState {
  const some = view.nodes.find((node) => node.up);
  const nodes = view.nodes.map((node) => {
    const known: NodeUp | undefined = node.up ? node : (node.lost?.before ?? some);
    if (known === undefined) return node;
    // a node votes for itself first, and says how long its log is
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
