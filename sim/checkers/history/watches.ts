/**
 * Checks the events that a connection gets from its watches (T10). The committed order and the zxids of the answers that
 * set watches determine the events that each connection must receive; they are compared with those that arrived:
 *
 * - a watch fires once, for the first matching change after the answer that set it, never for an earlier one;
 * - events come in the order of the changes;
 * - an event comes before any answer that shows its change or a later one, and after the answer that set its watch;
 * - nothing is missing: what is below the zxid of a later answer of the connection has arrived;
 * - after `setWatches` missed events are sent at once, before its answer, and the others are watched again;
 * - nothing comes after the end of the session or the connection.
 *
 * If a connection gets no answer after a change, its event may be missing, because it may still be in flight.
 */
import { WatchEventType } from "../../../core/znode/types.ts";
import {
  describeOp,
  type History,
  isRead,
  type Op,
  type ReadRequest,
  type SetWatchesRequest,
  type WatchArrival,
  zxidText,
} from "../../history/history.ts";
import type { ModelEvent, TreeModel } from "./model.ts";
import { type Placed, replay } from "./replay.ts";

/** What the checker has checked. */
export interface WatchCounts {
  readonly watchEvents: number;
  /** expected events that arrived */
  readonly matchedEvents: number;
  /** events of watches whose request got no answer: allowed, and not expected */
  readonly maybeEvents: number;
  /** watches that were set again by a connection that took over */
  readonly resumed: number;
}

/** An event that a connection has to get. */
interface Expected extends ModelEvent {
  readonly zxid: number;
  /** missed events come with any zxid */
  readonly missed: boolean;
  /** the request that left the watch */
  readonly by: Op;
  arrival: WatchArrival | null;
  /** an answer came first, and this fault has been reported */
  late: boolean;
}

type Kind = "data" | "child";

/** *map path → connection → the request that left the watch* */
class Watches {
  readonly #paths = new Map<string, Map<number, Op>>();

  add(path: string, conn: number, by: Op): void {
    let conns = this.#paths.get(path);
    if (conns === undefined) {
      conns = new Map();
      this.#paths.set(path, conns);
    }
    if (!conns.has(conn)) conns.set(conn, by);
  }

  take(path: string): ReadonlyMap<number, Op> {
    const conns = this.#paths.get(path) ?? new Map<number, Op>();
    this.#paths.delete(path);
    return conns;
  }

  drop(conns: ReadonlySet<number>): void {
    for (const [path, watchers] of this.#paths) {
      for (const conn of conns) watchers.delete(conn);
      if (watchers.size === 0) this.#paths.delete(path);
    }
  }
}

const NAMES = ["", "NodeCreated", "NodeDeleted", "NodeDataChanged", "NodeChildrenChanged"];

const describeEvent = (event: { type: number; path: string; zxid: number | null }): string =>
  `${NAMES[event.type]} ${event.path}${event.zxid === null ? "" : ` at ${zxidText(event.zxid)}`}`;

/** Checks watches. Adds what it finds to `faults`. @returns the counts */
export function checkWatches(history: History, placed: Placed, faults: string[]): WatchCounts {
  const none = { watchEvents: history.watches.length, matchedEvents: 0, maybeEvents: 0, resumed: 0 };
  if (placed.commits === null) return none;
  const expectation = new Expectation(history, placed);
  const perConn = new Map<number, { arrivals: WatchArrival[]; answers: Op[] }>();
  const of = (conn: number) => {
    let each = perConn.get(conn);
    if (each === undefined) {
      each = { arrivals: [], answers: [] };
      perConn.set(conn, each);
    }
    return each;
  };
  for (const arrival of history.watches) of(arrival.conn).arrivals.push(arrival);
  for (const op of history.ops) {
    if (op.conn > 0 && op.outcome.type === "done" && op.outcome.zxid !== null) of(op.conn).answers.push(op);
  }
  const ends = new Map<number, number>();
  for (const { type, conn, at } of history.sessions)
    if (type !== "connect") ends.set(conn, ends.get(conn) ?? at);
  let matchedEvents = 0;
  let maybeEvents = 0;
  for (const [conn, { arrivals, answers }] of perConn) {
    const comparison = new Comparison(conn, expectation, ends.get(conn) ?? Number.POSITIVE_INFINITY, faults);
    comparison.run(arrivals, answers);
    matchedEvents += comparison.matched;
    maybeEvents += comparison.maybe;
  }
  return { ...none, matchedEvents, maybeEvents, resumed: expectation.resumed };
}

/** The events that each connection has to get. */
class Expectation {
  readonly #data = new Watches();
  readonly #child = new Watches();
  /** *map connection → events, in order* */
  readonly events = new Map<number, Expected[]>();
  /** *map session → its connections* */
  readonly #conns = new Map<number, Set<number>>();
  /** *map session → zxid of its end* */
  readonly closed = new Map<number, number>();
  /** "type path" of every change */
  readonly changes = new Map<string, number[]>();
  /** *map "conn kind path" of a watch that may have been left → relativeZxid of its setWatches* */
  readonly unanswered = new Map<string, number | undefined>();
  resumed = 0;

  constructor(history: History, placed: Placed) {
    const registrations: { zxid: number; op: Op }[] = [];
    for (const op of history.ops) {
      const { conn, outcome, request, session } = op;
      if (conn === 0) continue;
      const conns = this.#conns.get(session) ?? new Set();
      this.#conns.set(session, conns.add(conn));
      const watches = request.type === "setWatches" || (isRead(request) && request.watch);
      if (!watches || outcome.type === "refused") continue;
      if (outcome.type === "done" && outcome.zxid !== null) registrations.push({ zxid: outcome.zxid, op });
      else this.#noteUnanswered(op);
    }
    // Answers of one zxid, in the order of the requests; the sort is stable.
    registrations.sort((a, b) => a.zxid - b.zxid);
    let next = 0;
    replay(placed.commits ?? [], ({ model, since, until, commit, decision }) => {
      for (const event of decision?.events ?? []) this.#fire(event, since);
      if (commit?.request?.type === "closeSession" && decision?.result.type === "closeSession") {
        this.#end(commit.session, since);
      }
      for (
        let each = registrations[next];
        each !== undefined && each.zxid < until;
        each = registrations[next]
      ) {
        next += 1;
        this.#register(each.op, each.zxid, model);
      }
    });
  }

  #end(session: number, zxid: number): void {
    this.closed.set(session, zxid);
    const conns = this.#conns.get(session) ?? new Set();
    this.#data.drop(conns);
    this.#child.drop(conns);
  }

  #noteUnanswered({ conn, request }: Op): void {
    if (request.type === "setWatches") {
      const { data, exist, child, relativeZxid } = request;
      for (const path of [...data, ...exist]) this.unanswered.set(`${conn} data ${path}`, relativeZxid);
      for (const path of child) this.unanswered.set(`${conn} child ${path}`, relativeZxid);
    } else if (isRead(request)) {
      this.unanswered.set(`${conn} ${kindOf(request)} ${request.path}`, undefined);
    }
  }

  #register(op: Op, zxid: number, model: TreeModel): void {
    const { request, conn } = op;
    if (request.type === "setWatches") {
      if (op.outcome.type === "done" && op.outcome.result.type === "setWatches")
        this.#resume(op, request, zxid, model);
    } else if (isRead(request) && leavesWatch(op)) this.#tableOf(kindOf(request)).add(request.path, conn, op);
  }

  /** @source ZooKeeper `DataTree.setWatches` */
  #resume(op: Op, request: SetWatchesRequest, zxid: number, model: TreeModel): void {
    const settle = (kind: Kind, path: string, type: ModelEvent["type"] | undefined): void => {
      this.resumed += 1;
      if (type === undefined) this.#tableOf(kind).add(path, op.conn, op);
      else this.#expect(op.conn, { type, path, zxid, missed: true, by: op, arrival: null, late: false });
    };
    const since = request.relativeZxid;
    for (const path of request.data) {
      const node = model.get(path);
      const changed = node !== undefined && node.mzxid > since ? WatchEventType.DATA_CHANGED : undefined;
      settle("data", path, node === undefined ? WatchEventType.DELETED : changed);
    }
    for (const path of request.exist) {
      settle("data", path, model.get(path) === undefined ? undefined : WatchEventType.CREATED);
    }
    for (const path of request.child) {
      const node = model.get(path);
      const changed = node !== undefined && node.pzxid > since ? WatchEventType.CHILDREN_CHANGED : undefined;
      settle("child", path, node === undefined ? WatchEventType.DELETED : changed);
    }
  }

  #fire(event: ModelEvent, zxid: number): void {
    const key = `${event.type} ${event.path}`;
    const known = this.changes.get(key);
    if (known === undefined) this.changes.set(key, [zxid]);
    else known.push(zxid);
    const tell = (conn: number, by: Op): void =>
      this.#expect(conn, { ...event, zxid, missed: false, by, arrival: null, late: false });
    if (event.type === WatchEventType.CHILDREN_CHANGED) {
      for (const [conn, by] of this.#child.take(event.path)) tell(conn, by);
      return;
    }
    const told = this.#data.take(event.path);
    for (const [conn, by] of told) tell(conn, by);
    if (event.type !== WatchEventType.DELETED) return;
    // No client gets the event of one deletion twice.
    for (const [conn, by] of this.#child.take(event.path)) if (!told.has(conn)) tell(conn, by);
  }

  #expect(conn: number, event: Expected): void {
    const events = this.events.get(conn);
    if (events === undefined) this.events.set(conn, [event]);
    else events.push(event);
  }

  #tableOf(kind: Kind): Watches {
    return kind === "data" ? this.#data : this.#child;
  }
}

/** *map type of a read → what its watch is on* */
const KINDS: { readonly [Type in ReadRequest["type"]]: Kind } = {
  getData: "data",
  exists: "data",
  getChildren: "child",
};

const kindOf = (request: ReadRequest): Kind => KINDS[request.type];

/** A read that finds nothing leaves no watch, except `exists`. */
function leavesWatch({ request, outcome }: Op): boolean {
  if (!isRead(request) || !request.watch || outcome.type !== "done") return false;
  if (outcome.result.type !== "error") return true;
  return request.type === "exists" && outcome.result.code === "NO_NODE";
}

/** Compares the events that one connection got with those that it had to get. */
class Comparison {
  readonly #conn: number;
  readonly #expectation: Expectation;
  readonly #expected: readonly Expected[];
  readonly #end: number;
  readonly #faults: string[];
  /** everything expected before this has arrived */
  #first = 0;
  /** the last one that arrived */
  #highest = -1;
  matched = 0;
  maybe = 0;

  constructor(conn: number, expectation: Expectation, end: number, faults: string[]) {
    this.#conn = conn;
    this.#expectation = expectation;
    this.#expected = expectation.events.get(conn) ?? [];
    this.#end = end;
    this.#faults = faults;
  }

  run(arrivals: readonly WatchArrival[], answers: readonly Op[]): void {
    const moments = [
      ...arrivals.map((arrival) => ({ at: arrival.at, arrival, answer: null })),
      ...answers.map((answer) => ({ at: answer.return, arrival: null, answer })),
    ].sort((a, b) => a.at - b.at);
    for (const { arrival, answer } of moments) {
      if (arrival !== null) this.#arrives(arrival);
      else this.#answered(answer);
    }
  }

  #fault(what: string): void {
    this.#faults.push(`connection ${this.#conn}: ${what}`);
  }

  #arrives(arrival: WatchArrival): void {
    const what = `${describeEvent(arrival)} [${arrival.at}]`;
    if (arrival.at > this.#end) this.#fault(`${what} after its end`);
    const closed = this.#expectation.closed.get(arrival.session);
    if (closed !== undefined && arrival.zxid !== null && arrival.zxid > closed) {
      this.#fault(`${what} after the end of its session at ${zxidText(closed)}`);
      return;
    }
    const index = this.#find(arrival);
    const event = this.#expected[index];
    if (event === undefined) {
      this.#unexpected(arrival, what);
      return;
    }
    event.arrival = arrival;
    this.matched += 1;
    if (index < this.#highest) this.#fault(`${what} out of order`);
    this.#highest = Math.max(this.#highest, index);
    if (arrival.at < event.by.return !== event.missed) {
      const which = event.missed ? "after" : "before";
      this.#fault(`${what} ${which} the answer to ${describeOp(event.by)}`);
    }
    if (event.late) this.#fault(`${what} after an answer that showed its change`);
    while (this.#expected[this.#first]?.arrival) this.#first += 1;
  }

  #find({ type, path, zxid }: WatchArrival): number {
    for (let i = this.#first; i < this.#expected.length; i++) {
      const event = this.#expected[i] as Expected;
      if (event.arrival !== null || event.type !== type || event.path !== path) continue;
      if (zxid === null || event.missed || event.zxid === zxid) return i;
    }
    return -1;
  }

  #unexpected(arrival: WatchArrival, what: string): void {
    const { type, path, zxid } = arrival;
    const kinds: readonly Kind[] =
      type === WatchEventType.CHILDREN_CHANGED
        ? ["child"]
        : type === WatchEventType.DELETED
          ? ["data", "child"]
          : ["data"];
    const { unanswered } = this.#expectation;
    const key = kinds.map((kind) => `${this.#conn} ${kind} ${path}`).find((each) => unanswered.has(each));
    if (!this.#happened(arrival, key === undefined ? undefined : unanswered.get(key))) {
      this.#fault(`${what}: there was no such change`);
      return;
    }
    if (key !== undefined) {
      unanswered.delete(key);
      this.maybe += 1;
      return;
    }
    const same = this.#expected.some(
      (each) =>
        each.arrival !== null &&
        each.type === type &&
        each.path === path &&
        (zxid === null || each.zxid === zxid),
    );
    this.#fault(same ? `${what} fires twice` : `${what}: no watch was there for it`);
  }

  /**
   * Whether the log has a change that the event may be of. setWatches compares zxids only, so it takes a znode that was
   * created after `since`, its relativeZxid, for one that changed.
   */
  #happened({ type, path, zxid }: WatchArrival, since: number | undefined): boolean {
    const changesOf = (each: number): readonly number[] =>
      this.#expectation.changes.get(`${each} ${path}`) ?? [];
    if (zxid !== null) return changesOf(type).includes(zxid);
    if (changesOf(type).length > 0) return true;
    return since !== undefined && changesOf(WatchEventType.CREATED).some((each) => each > since);
  }

  /** Everything up to the zxid of the answer has arrived before it. */
  #answered(op: Op): void {
    const zxid = op.outcome.type === "done" ? (op.outcome.zxid ?? 0) : 0;
    for (let i = this.#first; i < this.#expected.length; i++) {
      const event = this.#expected[i] as Expected;
      // The events that a new connection missed come with the answer to its setWatches, and not before.
      const due = event.missed ? event.by === op || event.by.return < op.return : event.zxid <= zxid;
      if (event.zxid > zxid) break;
      if (event.arrival !== null || event.late || !due || event.by.return > op.return) continue;
      event.late = true;
      this.#fault(
        `missed ${describeEvent(event)}, of the watch of ${describeOp(event.by)}, before ${describeOp(op)}`,
      );
    }
  }
}
