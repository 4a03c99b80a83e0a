/** The events that checkers receive. */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { Committed } from "./committed-history.ts";
import type { LifeView, MemberView } from "./view.ts";

/**
 * A family of rules. The ensemble calls a method per event, and a checker checks only what the event changed. A checker has
 * only the methods that it needs.
 */
export interface Checker {
  /** A member has started, and has done nothing yet. */
  started?(life: LifeView): void;
  /** A member has crashed: it keeps what was durable. */
  crashed?(member: MemberView): void;
  /** The storage of a member was wiped, rolled back or set aside, so the member may forget its promises. */
  wiped?(sid: Sid): void;
  /** A member is about to write. */
  persisting?(life: LifeView, writes: readonly DurableWrite[]): void;
  /** A member has written; the writes are not durable yet. */
  persisted?(life: LifeView): void;
  /** Writes of a member became durable. */
  synced?(life: LifeView): void;
  /** A member makes a message. @param to null: the answer to a call */
  saying?(life: LifeView, to: Sid | null, message: PeerMessage): void;
  /** A message leaves its member; all earlier writes are durable. */
  leaving?(life: LifeView, to: Sid, message: PeerMessage): void;
  /** A message arrives that the core of `to` will handle. */
  arriving?(from: LifeView, to: LifeView, message: PeerMessage, isReturn: boolean): void;
  /** The core of `to` has handled a message. */
  handled?(from: LifeView, to: LifeView, message: PeerMessage): void;
  /** A step of a member has ended. */
  stepped?(life: LifeView): void;
  /** Some member was the first to apply a txn, which is committed. The cursor is at the txn. */
  committed?(entry: Committed, cursor: TxnCursor): void;
  /** A member has written a checkpoint. @param base the log's base before it */
  checkpointed?(life: LifeView, base: Zxid): void;
}

/** `sid/life`, which names one life of the run. */
export const nameOf = (life: LifeView): string => `${life.sid}/${life.number}`;
