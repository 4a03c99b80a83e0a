/**
 * The owner of a parked session, like a broker: it waits at a member, sends background heartbeats, falls asleep with the
 * ensemble, and does nothing until a member wakes it.
 */
import type { ParkedSession } from "../../core/server/ids.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { makeSessionId, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import type { Life } from "../member/life.ts";
import type { ClientWorld } from "./client-world.ts";

/** One such owner. Invariant: while it sleeps it sends nothing, and its session does not expire. */
export class SimOwner {
  readonly number: number;
  readonly #world: ClientWorld;
  #session: SessionId = NO_SESSION;
  #opening = false;
  /** the life at which it waits */
  #life: Life | null = null;
  #asleep = false;
  #stopped = false;

  constructor(number: number, world: ClientWorld) {
    this.number = number;
    this.#world = world;
    this.#later();
  }

  /** Ends the owner, which closes its session. */
  stop(): void {
    this.#stopped = true;
    this.#leave();
    if (this.#session !== NO_SESSION) this.#close(this.#find() ?? null, this.#session);
  }

  #close(life: Life | null, session: SessionId): void {
    const { cluster } = this.#world;
    cluster.invariants.sessions.closing(session);
    if (life === null) return;
    const close = { session, xid: 0, ...encodeWrite({ type: "closeSession" }) };
    cluster.request(
      life.sid,
      (server, now, token) => server.submitWrite(now, token, close),
      () => {},
    );
  }

  /** Whether it sleeps and its session exists. */
  get sleepsOn(): boolean {
    return this.#asleep && this.#world.cluster.leader?.tree.sessions.has(this.#session) === true;
  }

  #later(): void {
    const { cluster, options } = this.#world;
    cluster.after(options.sessionTimeoutMs / 4, () => {
      if (this.#stopped) return;
      this.#beat();
      this.#later();
    });
  }

  #beat(): void {
    const { cluster } = this.#world;
    if (this.#asleep || this.#opening) return;
    if (this.#life?.alive !== true || !this.#life.server.ready) this.#leave();
    const life = this.#life ?? this.#find();
    if (life === null) return;
    if (this.#session === NO_SESSION) {
      if (!this.#world.calm) this.#open(life);
      return;
    }
    this.#life = life;
    const session = this.#session;
    life.turn((server, now) => {
      if (this.#stopped || this.#asleep || this.#session !== session || this.#life !== life) return;
      if (!server.tree.sessions.has(session)) {
        // The session has ended, or is not known here yet; it checks at another member.
        if (server.ready && server.zab.proposing !== undefined) this.#session = NO_SESSION;
        this.#leave();
        return;
      }
      server.parked.set(session, this.number);
      if (server.isSessionParked(session)) return;
      cluster.invariants.sessions.heard(life, session);
      server.touch(now, session, true);
    });
    // It also reads its cluster's state, which keeps no member awake.
    if (!life.server.zab.frozen) {
      const request = { type: "exists", path: "/", watch: false } as const;
      const read = {
        session: NO_SESSION,
        xid: 0,
        request,
        linearizable: false,
        stale: false,
        background: true,
      };
      cluster.request(
        life.sid,
        (server, now, token) => {
          if (!server.zab.frozen) server.submitRead(now, token, read);
        },
        () => {},
      );
    }
  }

  #find(): Life | null {
    const { cluster, chance } = this.#world;
    const ready = cluster.members.flatMap(({ life }) => (life?.server.ready === true ? [life] : []));
    return ready.length === 0 ? null : chance.oneOf(ready);
  }

  #leave(): void {
    const life = this.#life;
    this.#life = null;
    if (life?.alive === true) life.server.parked.delete(this.#session);
  }

  #open(life: Life): void {
    const { cluster, options } = this.#world;
    this.#world.sessions += 1;
    const session = makeSessionId(life.sid, this.#world.sessions);
    const open = encodeWrite({ type: "createSession", timeoutMs: options.sessionTimeoutMs });
    this.#opening = true;
    cluster.request(
      life.sid,
      (server, now, token) => server.submitWrite(now, token, { session, xid: 0, ...open }),
      (answer) => {
        this.#opening = false;
        if (answer?.ok === true && answer.result.type !== "error") this.#session = session;
      },
    );
  }

  // ── sleep ────────────────────────────────────────────────────────────────

  /** Handles a member that fell asleep with its owners. */
  fellAsleep(life: Life): void {
    if (this.#life !== life || this.#session === NO_SESSION || this.#stopped) return;
    this.#asleep = true;
    this.#world.count("owner asleep");
    this.#world.cluster.invariants.sessions.stands(this.#session, true);
    this.#leave();
  }

  /** Handles a wake-up by a member. */
  woken(life: Life, parked: ParkedSession): void {
    const { cluster } = this.#world;
    if (parked.owner !== this.number) return;
    const { session } = parked;
    if (session === this.#session) {
      if (this.#asleep) this.#world.count("owner woken");
      this.#asleep = false;
      cluster.invariants.sessions.stands(session, false);
      life.turn((server, now) => {
        cluster.invariants.sessions.heard(life, session);
        server.touch(now, session, true);
      });
      return;
    }
    // It has another session now, so the old one is closed.
    this.#close(life, session);
  }
}
