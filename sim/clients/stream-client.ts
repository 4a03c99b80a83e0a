/**
 * A reader of watch streams, as of `GET /v1/znodes/…?watch=`: it reads the state of a znode, follows the znode at a random
 * member, and resumes at another one by its last id when the stream ends, or when it disconnects. The history records what
 * it receives. The member's part does what the node's shell does with `WatchStream`.
 */
import type { ServerAnswer } from "../../core/server/answers.ts";
import type { Token } from "../../core/server/ids.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import { NO_SESSION, WatchEventType } from "../../core/znode/types.ts";
import {
  type Seen,
  type StreamEvent,
  WatchStream,
  type WatchStreamKind,
} from "../../core/znode/watch-stream.ts";
import { zxidToNumber } from "../history/history.ts";
import type { StreamRecord } from "../history/stream-record.ts";
import type { Life } from "../member/life.ts";
import { Chance } from "../random.ts";
import type { ClientWorld } from "./client-world.ts";

const KINDS: readonly WatchStreamKind[] = ["data", "exists", "children"];
/** Delay of a member's events, ms: at once, after other streams, or to a slow reader. */
const LAGS = [
  [0, 0],
  [0, 20],
  [0, 1_500],
] as const;
const TURN_MS = [200, 2_500] as const;

/** An open stream at a member. */
interface Open {
  readonly life: Life;
  readonly token: Token;
  readonly stream: WatchStream;
  /** whether it is about to send events */
  telling: boolean;
}

/** One such reader. It follows one znode at a time. */
export class StreamReader {
  readonly #number: number;
  readonly #world: ClientWorld;
  readonly #chance: Chance;
  readonly #lagMs: readonly [number, number];
  #path = "";
  #kind: WatchStreamKind = "data";
  /** the last state that it received; null if it has read none */
  #known: Seen | null = null;
  #record: StreamRecord | null = null;
  #open: Open | null = null;
  /** number and start of its current request; answers to earlier requests are ignored */
  #asked = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** zxid up to which it is known to have received all events */
  #current: Zxid = ZXID_ZERO;
  #stopped = false;

  constructor(number: number, world: ClientWorld) {
    this.#number = number;
    this.#world = world;
    // It draws from its own sequence, so runs without it do not change.
    this.#chance = new Chance(world.cluster.seed * 4_801 + number * 131);
    this.#lagMs = this.#chance.oneOf(LAGS);
    this.#choose();
    this.#later();
  }

  /** Makes it stop disconnecting and changing its znode; it still resumes streams that end. */
  stop(): void {
    this.#stopped = true;
  }

  /** Whether the member has sent all events. */
  get isUpToDate(): boolean {
    return this.#open !== null && !this.#open.telling;
  }

  /** Ends the run: the state that it knows must be the last committed one. */
  end(last: Zxid): void {
    this.#knowsAll(last);
  }

  #choose(): void {
    const { registers, directories } = this.#world.workload.paths;
    const directory = this.#chance.oneOf(directories);
    this.#path = this.#chance.oneOf([...registers, ...directories, `${directory}/e1`]);
    this.#kind = this.#chance.oneOf(KINDS);
    this.#known = null;
    this.#record = null;
    this.#current = ZXID_ZERO;
  }

  #later(): void {
    this.#world.cluster.after(this.#chance.between(...TURN_MS), () => this.#turn());
  }

  #turn(): void {
    this.#later();
    if (this.#open !== null) {
      if (!this.#open.telling) this.#tell(this.#open);
      if (this.#stopped) return;
      if (this.#chance.oneIn(8)) this.#breakOff(this.#open);
      else if (this.#chance.oneIn(40)) {
        this.#breakOff(this.#open);
        this.#choose();
      }
    } else if (!this.#world.calm) this.#ask();
  }

  // ── opening ──────────────────────────────────────────────────────────────

  /** Requests the state from a member, or a stream after the state that it knows. */
  #ask(): void {
    const { cluster } = this.#world;
    if (cluster.now - this.#askedAt < 2 * cluster.config.requestTimeoutMs) return;
    const sid = this.#chance.between(1, cluster.members.length);
    const { life } = cluster.member(sid);
    if (life === null || !life.server.ready) return;
    this.#asked += 1;
    this.#askedAt = cluster.now;
    const asked = this.#asked;
    const known = this.#known;
    // As in the shell: any read shows whether the member is behind what the reader knows.
    const path = known === null ? this.#path : "/";
    const request = { type: "exists", path, watch: false } as const;
    const atLeast = known?.zxid;
    const input = { session: NO_SESSION, xid: 0, request, linearizable: false, stale: false, atLeast };
    cluster.request(
      sid,
      (server, now, token) => server.submitRead(now, token, input),
      (answer) => {
        if (this.#asked !== asked) return;
        this.#askedAt = Number.NEGATIVE_INFINITY;
        if (answer === undefined) return;
        if (known === null) this.#begin(answer);
        else if (answer.ok && cluster.member(sid).life === life) this.#follow(life, known, asked);
      },
    );
  }

  #begin(answer: ServerAnswer): void {
    const known = this.#stateIn(answer);
    if (known === undefined) return;
    this.#known = known;
    const first = { zxid: zxidToNumber(known.zxid), gone: known.gone };
    const { recorder } = this.#world;
    this.#record = recorder.stream({ reader: this.#number, path: this.#path, kind: this.#kind, first });
  }

  /** The state in the answer to a read; undefined if it was not answered. */
  #stateIn(answer: ServerAnswer): Seen | undefined {
    if (!answer.ok) {
      const { code, zxid } = answer;
      return code === "NO_NODE" && zxid !== null ? { zxid, gone: true } : undefined;
    }
    if (answer.result.type !== "exists") return undefined;
    const { mzxid, pzxid } = answer.result.stat;
    return { zxid: this.#kind === "children" ? pzxid : mzxid, gone: false };
  }

  /** Opens the stream, at a member that is not behind the reader. */
  #follow(life: Life, known: Seen, asked: number): void {
    const { cluster } = this.#world;
    life.turn((server) => {
      if (this.#asked !== asked || this.#open !== null) return;
      let open: Open | null = null;
      const connection = cluster.connect(life.sid, {
        respond: () => {},
        notify: ({ type }, zxid) => {
          if (open === null) return;
          open.stream.note(type, zxid);
          this.#tellSoon(open);
        },
        closed: () => {
          if (this.#open !== open) return;
          this.#world.count("stream ended");
          this.#open = null;
        },
      });
      if (connection?.life !== life) return;
      const { token } = connection;
      open = {
        life,
        token,
        stream: new WatchStream(server.tree, this.#path, this.#kind, known),
        telling: false,
      };
      server.watches.follow(this.#kind === "children" ? "child" : "data", this.#path, token);
      this.#open = open;
      this.#world.count("stream opened");
      this.#tellSoon(open);
    });
  }

  /** Ends the connection after any of the events in flight. */
  #breakOff({ life, token, stream }: Open): void {
    const told = stream.take();
    this.#hear(told.slice(0, this.#chance.between(0, told.length)));
    this.#open = null;
    life.disconnected(token);
  }

  // ── events ───────────────────────────────────────────────────────────────

  #tellSoon(open: Open): void {
    if (open.telling) return;
    open.telling = true;
    this.#world.cluster.after(this.#chance.between(...this.#lagMs), () => {
      open.telling = false;
      if (this.#open === open) this.#tell(open);
    });
  }

  #tell(open: Open): void {
    const { life, stream } = open;
    // A paused member sends nothing; the next turn checks again.
    if (life.isPaused) return;
    this.#hear(stream.take());
    // Changes that wait for a durable write are not in the stream yet.
    if (life.gate.isOpen) this.#knowsAll(life.server.tree.lastApplied);
  }

  #hear(told: readonly StreamEvent[]): void {
    for (const { type, zxid } of told) {
      this.#world.cluster.invariants.requests.tells(zxid);
      this.#world.count("stream told");
      this.#known = { zxid, gone: type === WatchEventType.DELETED };
      this.#record?.entries.push({ event: type, zxid: zxidToNumber(zxid) });
    }
  }

  #knowsAll(zxid: Zxid): void {
    if (compareZxid(zxid, this.#current) <= 0) return;
    this.#current = zxid;
    this.#record?.entries.push({ event: null, zxid: zxidToNumber(zxid) });
  }
}
