/** Calls of `waitForChange`: long polls of clients, and waits of this system's objects whose sessions sleep with the ensemble. */
import type { Token } from "../../core/server/ids.ts";
import { compareZxid, zxidFromText } from "../../core/zab/zxid.ts";
import type { SessionId } from "../../core/znode/types.ts";
import { changedAt } from "../../core/znode/watch-stream.ts";
import { failure, success, UNKNOWN_ENSEMBLE } from "./answers.ts";
import type { ClientCount } from "./client-count.ts";
import { WAIT_MS_MAX } from "./config.ts";
import type { Incarnation } from "./incarnation.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Requests } from "./requests.ts";
import type { Answer, SessionOwner, Waited, WatchCondition } from "./rpc.ts";
import { watchFor } from "./watch-feed.ts";

/** Arguments of `ZooWeeperNodeRpc.waitForChange`. */
export interface WaitInput {
  readonly conditions: readonly WatchCondition[];
  readonly timeoutMs: number;
  readonly owner?: SessionOwner;
}

/**
 * The open waits.
 * Invariant: each has one token, under which its watches are registered; for each owner only its last wait counts.
 * @source ZooKeeper's watches, level-triggered; owners of sessions: decision 0011
 */
export class Waits {
  readonly #lifecycle: Lifecycle;
  readonly #requests: Requests;
  readonly #clients: ClientCount;
  /** *map token → ends the wait* */
  readonly #waiting = new Map<Token, () => void>();
  /** *map session → the wait of its owner* */
  readonly #owners = new Map<SessionId, Token>();

  constructor(lifecycle: Lifecycle, requests: Requests, clients: ClientCount) {
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    this.#clients = clients;
  }

  /** See `ZooWeeperNodeRpc.waitForChange`. */
  async waitForChange({ conditions, timeoutMs, owner }: WaitInput): Promise<Answer<Waited>> {
    const incarnation = await this.#lifecycle.enter();
    if (incarnation === undefined) return UNKNOWN_ENSEMBLE;
    const { server } = incarnation;
    await this.#requests.awaken(incarnation, owner !== undefined);
    const since = conditions.map((condition) => zxidFromText(condition.since));
    if (since.includes(undefined)) return failure("BAD_ARGUMENTS", "`since` is a zxid", incarnation);
    const changed = (): number[] =>
      conditions.flatMap(({ path, kind }, index) => {
        const at = changedAt(server.tree, path, kind);
        const seen = since[index];
        return seen !== undefined && compareZxid(at, seen) !== 0 ? [index] : [];
      });
    if (!server.ready) return failure("NO_QUORUM", undefined, incarnation);
    const now = changed();
    if (now.length > 0) return success(incarnation, { changed: now });
    const token = this.#lifecycle.nextToken();
    this.#begin(incarnation, token, owner);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(Math.max(timeoutMs, 0), WAIT_MS_MAX));
      this.#waiting.set(token, () => {
        clearTimeout(timer);
        resolve();
      });
      for (const { path, kind } of conditions) watchFor(server, path, kind, token);
    });
    this.#waiting.delete(token);
    server.forget(token);
    this.#end(incarnation, token, owner);
    if (owner !== undefined && server.asleepSince !== null) {
      return success(incarnation, { changed: [], asleep: server.zab.currentEpoch });
    }
    return success(incarnation, { changed: changed() });
  }

  #begin({ server }: Incarnation, token: Token, owner: SessionOwner | undefined): void {
    if (owner === undefined) this.#clients.change(1);
    else {
      this.#owners.set(owner.session, token);
      server.parked.set(owner.session, owner.owner);
    }
  }

  #end({ server }: Incarnation, token: Token, owner: SessionOwner | undefined): void {
    if (owner === undefined) this.#clients.change(-1);
    else if (this.#owners.get(owner.session) === token) {
      this.#owners.delete(owner.session);
      server.parked.delete(owner.session);
    }
  }

  /** Handles a fired watch of this token, unless it belongs to another part of the node. */
  notify(token: Token): void {
    this.#waiting.get(token)?.();
  }

  /** Ends every wait, because watches were lost: their callers read again. */
  endAll(): void {
    for (const end of [...this.#waiting.values()]) end();
  }

  /** Ends the waits of owners, because the ensemble fell asleep and they sleep too. */
  endOwners(): void {
    for (const token of [...this.#owners.values()]) this.notify(token);
  }
}
