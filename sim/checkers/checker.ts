/** Events that checkers take. */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { Committed } from "./committed-history.ts";
import type { LifeView, MemberView } from "./view.ts";

/**
 * A family of rules. The ensemble calls each method as something happens, and a checker looks at what that touched, so nothing
 * is checked twice and nothing is missed. A checker has only the methods that it needs.
 */
export interface Checker {
  /** A member has started, and has done nothing yet. */
  started?(life: LifeView): void;
  /** A member has crashed: it keeps what was durable. */
  crashed?(member: MemberView): void;
  /** The storage of a member is gone, older than it was, or given up: it may forget what it said before. */
  wiped?(sid: Sid): void;
  /** A member is about to write. */
  persisting?(life: LifeView, writes: readonly DurableWrite[]): void;
  /** A member has written; the writes are not durable yet. */
  persisted?(life: LifeView): void;
  /** Writes of a member became durable. */
  synced?(life: LifeView): void;
  /** A member makes a message. @param to null: the answer to a call */
  saying?(life: LifeView, to: Sid | null, message: PeerMessage): void;
  /** A message leaves its member: every write before it is durable. */
  leaving?(life: LifeView, to: Sid, message: PeerMessage): void;
  /** A message arrives that the core of `to` will take. */
  arriving?(from: LifeView, to: LifeView, message: PeerMessage, isReturn: boolean): void;
  /** The core of `to` has taken a message. */
  handled?(from: LifeView, to: LifeView, message: PeerMessage): void;
  /** A step of a member is over. */
  stepped?(life: LifeView): void;
  /** A txn was applied by some member for the first time: it is committed. The cursor stands on it. */
  committed?(entry: Committed, cursor: TxnCursor): void;
  /** A member has written a checkpoint. @param base the log's base before it */
  checkpointed?(life: LifeView, base: Zxid): void;
}

/** `sid/life`, which names one life of the run. */
export const nameOf = (life: LifeView): string => `${life.sid}/${life.number}`;
