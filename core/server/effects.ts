/** The effects of a step of the whole member, which the shell runs, and the inputs that the shell feeds. */
import type { CallOrigin, DurableWrite, TraceEvent } from "../zab/effects.ts";
import type { Sid } from "../zab/membership.ts";
import type { Zxid } from "../zab/zxid.ts";
import type { WatchEvent } from "../znode/types.ts";
import type { ServerAnswer } from "./answers.ts";
import type { ParkedSession, Token } from "./ids.ts";
import type { PeerMessage } from "./messages.ts";

/** Why a member closes a connection. */
export type DisconnectCode = "SESSION_MOVED" | "SESSION_EXPIRED";

/** An action of the shell. The effects of a step are run in order. */
export type ServerEffect =
  | { readonly type: "persist"; readonly seq: number; readonly writes: readonly DurableWrite[] }
  | { readonly type: "send"; readonly to: Sid; readonly generation: number; readonly message: PeerMessage }
  | { readonly type: "reply"; readonly message: PeerMessage }
  /** refuse the call being handled, which is not understood: the caller has to replace its link */
  | { readonly type: "refuse"; readonly to: Sid; readonly reason: string }
  | { readonly type: "trace"; readonly event: TraceEvent }
  /** the answer to a request; answers of one session have the order of its requests */
  | { readonly type: "respond"; readonly token: Token; readonly xid: number; readonly answer: ServerAnswer }
  /** a fired watch; it precedes any answer that shows the change */
  | { readonly type: "notify"; readonly token: Token; readonly event: WatchEvent; readonly zxid: Zxid }
  /** give I/O a turn, then feed `yielded`: more requests may join the batch */
  | { readonly type: "yield" }
  /** feed `released` after this time */
  | { readonly type: "hold"; readonly ms: number }
  /** make a checkpoint of the tree, then call `checkpointed` */
  | { readonly type: "checkpoint" }
  /** read the tree from storage and pass it to `loadTree` */
  | { readonly type: "reloadTree" }
  /** the tree was replaced, or this member has left the quorum: clients must reconnect, here or at another member */
  | { readonly type: "dropClients" }
  /** the member sleeps: release every channel, and wake it at its deadline or at the next request */
  | { readonly type: "asleep" }
  /** wake the owner of a parked session, which then sends a heartbeat */
  | { readonly type: "wakeOwner"; readonly parked: ParkedSession }
  /** the session of this connection has moved or ended: close the connection after its last answer */
  | { readonly type: "disconnect"; readonly token: Token; readonly code: DisconnectCode }
  | { readonly type: "abort"; readonly reason: string };

/** One input of a step. */
export type ServerInput =
  | { readonly type: "start" }
  | { readonly type: "call"; readonly origin: CallOrigin; readonly messages: readonly PeerMessage[] }
  | {
      readonly type: "returned";
      readonly peer: Sid;
      readonly generation: number;
      readonly boot: number;
      readonly version?: number | undefined;
      readonly messages: readonly PeerMessage[];
    }
  | { readonly type: "linkBroken"; readonly peer: Sid; readonly generation: number }
  | { readonly type: "persisted"; readonly seq: number }
  | { readonly type: "yielded" }
  | { readonly type: "released" }
  | { readonly type: "tick" };
