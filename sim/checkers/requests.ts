/** The answers that clients receive. */
import type { ServerAnswer } from "../../core/server/answers.ts";
import { TxnType } from "../../core/wire/txn-body.ts";
import type { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { compareZxid, maxZxid, ZXID_ZERO, type Zxid } from "../../core/zab/zxid.ts";
import { isAnonymous, NO_SESSION, type SessionId } from "../../core/znode/types.ts";
import type { Checker } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type Committed, type CommittedHistory, text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { LifeView } from "./view.ts";

/** An unanswered request. */
export interface Asked {
  readonly sid: Sid;
  readonly life: number;
  readonly session: SessionId;
  /** rises with every request of the run */
  readonly order: number;
  /** linearizable: what the answer has to show */
  readonly mustSee: Zxid | null;
}

/** ToldIsCommitted, Once, SessionOrder, Linearizable. */
export class RequestChecker implements Checker {
  readonly #checks: Checks;
  readonly #history: CommittedHistory;
  /** *map life → session → last request answered* */
  readonly #answered = new PerLife<Map<SessionId, number>>();
  /** *map session → xid → its txn* */
  readonly #done = new Map<SessionId, Map<number, Zxid>>();
  readonly #lastXid = new Map<SessionId, number>();
  /** highest zxid that any client has received */
  told: Zxid = ZXID_ZERO;

  constructor(checks: Checks, history: CommittedHistory) {
    this.#checks = checks;
    this.#history = history;
  }

  started(life: LifeView): void {
    this.#answered.set(life, new Map());
  }

  /** A member gets a request. @param order rises with every request of the run */
  asked(life: LifeView, session: SessionId, order: number, linearizable: boolean): Asked {
    return { sid: life.sid, life: life.number, session, order, mustSee: linearizable ? this.told : null };
  }

  /** A member answers. */
  responded(life: LifeView, asked: Asked, answer: ServerAnswer): void {
    this.#checks.must(
      "SessionOrder",
      asked.sid === life.sid && asked.life === life.number,
      () => `the answer to ${asked.order} comes from another life`,
    );
    // Answers that are refused at once, or that go through the quorum by themselves, need not wait for others of the session.
    if (
      asked.session !== NO_SESSION &&
      asked.mustSee === null &&
      (answer.ok || answer.code !== "THROTTLED")
    ) {
      this.#inOrder(life, asked);
    }
    if (!answer.ok) return;
    this.tells(answer.zxid);
    const { mustSee } = asked;
    if (mustSee !== null) {
      this.#checks.must(
        "Linearizable",
        compareZxid(answer.zxid, mustSee) >= 0,
        () => `the answer to ${asked.order} does not show ${text(mustSee)}`,
      );
    }
  }

  #inOrder(life: LifeView, asked: Asked): void {
    const bySession = this.#answered.of(life);
    const last = bySession.get(asked.session) ?? 0;
    this.#checks.must("SessionOrder", last < asked.order, () => `${asked.order} is answered after ${last}`);
    bySession.set(asked.session, asked.order);
  }

  /** A client gets a zxid. */
  tells(zxid: Zxid): void {
    this.#checks.must(
      "ToldIsCommitted",
      this.#history.knows(zxid),
      () => `a client is told of ${text(zxid)}`,
    );
    this.told = maxZxid(this.told, zxid);
  }

  committed({ session, xid, zxid }: Committed, { type }: TxnCursor): void {
    if (xid <= 0 || type === TxnType.ERROR) return;
    let done = this.#done.get(session);
    if (done === undefined) {
      done = new Map();
      this.#done.set(session, done);
    }
    const known = done.get(xid);
    this.#checks.must(
      "Once",
      known === undefined,
      () => `${session}/${xid} happens at ${text(known ?? zxid)} and ${text(zxid)}`,
    );
    done.set(xid, zxid);
    if (isAnonymous(session)) return;
    this.#checks.must(
      "Once",
      (this.#lastXid.get(session) ?? 0) < xid,
      () => `${session}/${xid} happens out of order`,
    );
    this.#lastXid.set(session, xid);
  }
}
