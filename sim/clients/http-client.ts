/**
 * A client without a connection, as over HTTP: each request goes to any member. It opens a session or has none, sends the
 * last zxid it has seen, repeats a write under its number at another member while the first attempt is outstanding, and
 * makes stale reads.
 */

import type { ServerAnswer } from "../../core/server/answers.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import { makeSessionId, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import { coreRequest } from "../history/core-request.ts";
import {
  isRead,
  isWrite,
  type Op,
  outcomeOf,
  type ReadRequest,
  type WriteRequest,
} from "../history/history.ts";
import { Chance } from "../random.ts";
import type { ClientWorld } from "./client-world.ts";

/** Maximum of concurrent attempts of one write. */
const ATTEMPTS_MAX = 3;

/** Writes that such a client has under way in a rush, at most. */
const RUSH_MAX = 12;

/** Bytes of an answer beside the names, and of a name beside its characters; see `children-page.ts`. */
const ANSWER_BYTES = 1_024;
const NAME_BYTES = 8;

/** Maximum of times that a list that changed between its pages is read again from the start. */
const LISTS_MAX = 3;

/** A list of names that is read in pages, since it is too large for one answer. */
interface Pages {
  readonly op: Op;
  readonly path: string;
  readonly bytesMax: number;
  readonly limit: number;
  /** the state of the list to which the pages so far belong */
  pzxid: Zxid | null;
  names: string[];
  lists: number;
}

/** A write with an unknown outcome so far. */
interface Unsettled {
  readonly request: WriteRequest;
  readonly session: SessionId;
  readonly xid: number;
  attempts: number;
  underWay: number;
  /** whether no more attempts are made: the outcome is known, or cannot become known */
  over: boolean;
}

/** One such client. Invariant: it never sends two different writes under one number of its session. */
export class HttpClient {
  readonly id: number;
  readonly #world: ClientWorld;
  /** opens sessions, and numbers its writes */
  readonly #numbers: boolean;
  /** whether a list of children is read with a bound, and which: of its own, so that a run without it stays as it is */
  readonly #bounds: Chance | null;
  #session: SessionId = NO_SESSION;
  #xid = 0;
  /** the highest zxid that it has received */
  #seen: Zxid = ZXID_ZERO;
  #underWay = 0;
  #write: Unsettled | null = null;
  stopped = false;

  constructor(id: number, world: ClientWorld) {
    this.id = id;
    this.#world = world;
    this.#numbers = world.chance.oneIn(2);
    this.#bounds = world.options.bounded ? new Chance(world.cluster.seed * 7_177 + id) : null;
    this.#later(world.chance.between(0, 500));
  }

  /** Number of unanswered requests. */
  get waiting(): number {
    return this.#underWay;
  }

  stop(): void {
    this.stopped = true;
  }

  #later(ms: number): void {
    this.#world.cluster.after(ms, () => this.#turn());
  }

  #turn(): void {
    const { chance, options } = this.#world;
    if (this.stopped) return;
    if (this.#world.calm) {
      this.#later(1_000);
      return;
    }
    if (this.#world.rush && !this.#numbers) {
      this.#rush();
      return;
    }
    if (this.#world.opsLeft > 0 && this.#underWay < options.pipeline) this.#ask();
    this.#later(chance.between(...options.thinkMs));
  }

  /** Sends several writes without a session to one member in one turn, so that the member batches them. */
  #rush(): void {
    const { cluster, workload, chance } = this.#world;
    const sid = this.#anyMember() ?? 0;
    for (let left = chance.between(1, 4); left > 0 && this.#underWay < RUSH_MAX; left--) {
      const { request } = workload.next(this.id, false);
      if (!isWrite(request) || request.type === "sync" || request.type === "delete") continue;
      // The member may crash at one of these writes.
      if (sid === 0 || cluster.member(sid).life === null) break;
      this.#attempt(sid, { request, session: NO_SESSION, xid: 0, attempts: 0, underWay: 0, over: false });
    }
    this.#later(chance.between(5, 60));
  }

  /** A random member, usually one that serves, as a router would find it. */
  #anyMember(): number | undefined {
    const { cluster, chance } = this.#world;
    const sid = 1 + chance.below(cluster.members.length);
    const { life } = cluster.member(sid);
    if (life === null || (!life.server.ready && !chance.oneIn(4))) return undefined;
    return sid;
  }

  #ask(): void {
    const { workload, chance } = this.#world;
    const sid = this.#anyMember();
    if (sid === undefined) return;
    if (this.#numbers && this.#session === NO_SESSION) {
      this.#open(sid);
      return;
    }
    // A session's writes are numbered: the next one waits for the last.
    if (this.#write !== null && !this.#write.over) return;
    this.#world.opsLeft -= 1;
    const { request, linearizable } = workload.next(this.id, this.#session !== NO_SESSION);
    // Without a number, one sync or deletion could not be distinguished from another.
    if (request.type === "sync") return;
    if (request.type === "delete" && this.#session === NO_SESSION) return;
    if (isRead(request)) this.#read(sid, request, linearizable);
    else if (this.#session !== NO_SESSION && isWrite(request)) {
      this.#xid += 1;
      const write = {
        request,
        session: this.#session,
        xid: this.#xid,
        attempts: 0,
        underWay: 0,
        over: false,
      };
      this.#write = write;
      this.#attempt(sid, write);
    } else if (isWrite(request)) {
      // Several at once gather into one batch.
      this.#attempt(sid, { request, session: NO_SESSION, xid: 0, attempts: 0, underWay: 0, over: false });
      if (chance.oneIn(3) && this.#underWay < this.#world.options.pipeline) this.#ask();
    }
  }

  #invoke(sid: number, request: Op["request"], session: SessionId, xid = 0, linearizable = false): Op {
    const { recorder } = this.#world;
    this.#underWay += 1;
    return recorder.invoke({ client: this.id, session, xid, member: sid, linearizable, request });
  }

  #returned(op: Op, answer: ServerAnswer | undefined): ReturnType<typeof outcomeOf> {
    const { recorder, workload, cluster } = this.#world;
    this.#underWay -= 1;
    if (answer === undefined) return { type: "unknown" };
    const outcome = outcomeOf(answer);
    recorder.returned(op, outcome);
    workload.learned(op.request, outcome);
    this.#world.count(answer.ok ? (answer.result.type === "error" ? answer.result.code : "OK") : answer.code);
    if (answer.ok) cluster.invariants.requests.tells(answer.zxid);
    if (outcome.type === "done" && compareZxid(answer.zxid, this.#seen) > 0) this.#seen = answer.zxid;
    return outcome;
  }

  // ── sessions ─────────────────────────────────────────────────────────────

  #open(sid: number): void {
    const { cluster, options } = this.#world;
    this.#world.sessions += 1;
    const session = makeSessionId(sid, this.#world.sessions);
    const timeoutMs = options.sessionTimeoutMs;
    this.#session = session;
    const request = { type: "createSession", timeoutMs } as const;
    const op = this.#invoke(sid, request, session);
    const write: Unsettled = { request, session, xid: 0, attempts: 1, underWay: 1, over: false };
    this.#write = write;
    const body = { session, xid: 0, ...encodeWrite(request) };
    cluster.request(
      sid,
      (server, now, token) => server.submitWrite(now, token, body),
      (answer) => {
        write.over = true;
        const outcome = this.#returned(op, answer);
        if (outcome.type !== "done" && this.#session === session) this.#forget();
      },
    );
  }

  #forget(): void {
    this.#session = NO_SESSION;
    this.#xid = 0;
    this.#write = null;
  }

  // ── writes ───────────────────────────────────────────────────────────────

  #attempt(sid: number, write: Unsettled): void {
    const { cluster, chance } = this.#world;
    const { request, session, xid } = write;
    write.attempts += 1;
    write.underWay += 1;
    const op = this.#invoke(sid, request, session, xid);
    const body = { session, xid, ...encodeWrite(coreRequest(request)) };
    cluster.request(
      sid,
      (server, now, token, life) => {
        cluster.invariants.ownership.submitted(session, xid, 0);
        if (session !== NO_SESSION) cluster.invariants.sessions.heard(life, session);
        server.submitWrite(now, token, body);
      },
      (answer) => {
        const outcome = this.#returned(op, answer);
        write.underWay -= 1;
        const over = outcome.type === "done";
        if (over) write.over = true;
        if (over && outcome.result.type === "error" && outcome.result.code === "SESSION_EXPIRED") {
          if (this.#session === session) this.#forget();
        } else if (!over && session !== NO_SESSION) this.#again(write, chance.between(1, 300));
      },
    );
    // Sometimes the next attempt begins before the answer.
    if (session !== NO_SESSION && chance.oneIn(3)) this.#again(write, chance.between(0, 100));
  }

  /** Makes another attempt at another member, unless the outcome is known by then. */
  #again(write: Unsettled, ms: number): void {
    const { cluster } = this.#world;
    if (write.attempts >= ATTEMPTS_MAX) {
      if (write.underWay === 0) write.over = true;
      return;
    }
    cluster.after(ms, () => {
      if (write.over || this.#session !== write.session) return;
      const sid = this.#anyMember();
      if (sid !== undefined) this.#attempt(sid, write);
      else if (this.stopped) write.over = true;
      else this.#again(write, 100);
    });
  }

  // ── reads ────────────────────────────────────────────────────────────────

  #read(sid: number, request: ReadRequest, linearizable: boolean): void {
    const { cluster, chance } = this.#world;
    const stale = !linearizable && chance.oneIn(8);
    const asks = stale ? NO_SESSION : this.#session;
    const atLeast = stale || linearizable || chance.oneIn(4) ? undefined : this.#seen;
    const mayBound =
      request.type === "getChildren" && !stale && !linearizable && this.#bounds?.oneIn(2) === true;
    const bytesMax = mayBound ? ANSWER_BYTES + (this.#bounds?.between(10, 80) ?? 0) : undefined;
    const read = { ...request, watch: false };
    const asked = bytesMax === undefined ? read : { ...read, bytesMax };
    // Without its last zxid it may get an older state, so the read is recorded without a session.
    const op = this.#invoke(sid, read, atLeast === undefined ? NO_SESSION : asks, 0, linearizable);
    const mustSee = linearizable ? cluster.invariants.requests.told : ZXID_ZERO;
    // Before a member's tree is compared, the member cannot know that it is wrong; a stale read returns it.
    let isWrong = false;
    cluster.request(
      sid,
      (server, now, token, life) => {
        isWrong = stale && !server.ready && cluster.invariants.digests.damagedTrees.has(sid);
        if (asks !== NO_SESSION) cluster.invariants.sessions.heard(life, asks);
        server.submitRead(now, token, {
          session: asks,
          xid: 0,
          request: asked,
          linearizable,
          stale,
          atLeast,
        });
      },
      (answer) => {
        if (
          bytesMax !== undefined &&
          answer !== undefined &&
          this.#isTooLarge(op, read.path, bytesMax, answer)
        )
          return;
        this.#returned(op, isWrong ? undefined : answer);
        if (answer === undefined) return;
        const { invariants } = cluster;
        if (answer.ok) {
          invariants.must("Linearizable", compareZxid(answer.zxid, mustSee) >= 0, () => "an old read");
          if (atLeast === undefined) return;
          invariants.must(
            "AtLeast",
            compareZxid(answer.zxid, atLeast) >= 0,
            () => `${sid} shows client ${this.id} a tree before what it has seen`,
          );
        } else {
          invariants.must(
            "AtLeast",
            answer.code !== "BAD_ARGUMENTS",
            () => `${sid} does not have the zxid that client ${this.id} has seen`,
          );
        }
      },
      !stale,
    );
  }

  // ── lists that are too large for one answer ──────────────────────────────

  /** @returns whether the list did not fit, and is read in pages now */
  #isTooLarge(op: Op, path: string, bytesMax: number, answer: ServerAnswer): boolean {
    const { cluster } = this.#world;
    if (!answer.ok) {
      if (answer.code !== "ANSWER_TOO_LARGE") return false;
    } else {
      const { result } = answer;
      if (result.type !== "getChildren") {
        if (result.type !== "error" || result.code !== "ANSWER_TOO_LARGE") return false;
      } else {
        cluster.invariants.must(
          "AnswerSize",
          bytesOf(result.children) <= bytesMax,
          () => `a list of ${bytesOf(result.children)} bytes is answered where ${bytesMax} are allowed`,
        );
        return false;
      }
    }
    this.#world.count("ANSWER_TOO_LARGE");
    const limit = this.#bounds?.between(1, 4) ?? 1;
    this.#page({ op, path, bytesMax, limit, pzxid: null, names: [], lists: 1 });
    return true;
  }

  /** Reads the next page, at any member. */
  #page(pages: Pages): void {
    const { cluster } = this.#world;
    const { op, path, bytesMax, limit, names } = pages;
    const sid = this.#anyMember();
    const page = { limit, after: names.at(-1) ?? "" };
    const request = { type: "getChildren", path, watch: false, withStat: true, page, bytesMax } as const;
    const isAsked =
      sid !== undefined &&
      cluster.request(
        sid,
        (server, now, token) =>
          server.submitRead(now, token, {
            session: NO_SESSION,
            xid: 0,
            request,
            linearizable: false,
            stale: false,
            atLeast: this.#seen,
          }),
        (answer) => this.#pageCame(pages, answer),
        true,
      );
    if (!isAsked) this.#returned(op, undefined);
  }

  /** The whole list is one read, if it has not changed between its pages. */
  #pageCame(pages: Pages, answer: ServerAnswer | undefined): void {
    const { invariants } = this.#world.cluster;
    const { op, bytesMax, limit } = pages;
    if (answer?.ok !== true || answer.result.type !== "getChildren") {
      // The znode may be deleted by now; an unread list proves nothing.
      this.#returned(op, undefined);
      return;
    }
    const { children, stat, more } = answer.result;
    invariants.must(
      "AnswerSize",
      children.length <= limit && (children.length <= 1 || bytesOf(children) <= bytesMax),
      () =>
        `a page of ${children.length} names, ${bytesOf(children)} bytes, where ${limit}, ${bytesMax} are allowed`,
    );
    if (compareZxid(answer.zxid, this.#seen) > 0) this.#seen = answer.zxid;
    if (pages.pzxid !== null && compareZxid(pages.pzxid, stat.pzxid) !== 0) {
      pages.pzxid = null;
      pages.names = [];
      pages.lists += 1;
      if (pages.lists > LISTS_MAX) this.#returned(op, undefined);
      else this.#page(pages);
      return;
    }
    pages.pzxid = stat.pzxid;
    pages.names.push(...children);
    if (more === true) {
      this.#page(pages);
      return;
    }
    this.#world.count("list in pages");
    this.#returned(op, { ...answer, result: { type: "getChildren", children: pages.names, stat } });
  }
}

const bytesOf = (names: readonly string[]): number =>
  names.reduce((sum, { length }) => sum + length + NAME_BYTES, ANSWER_BYTES);
