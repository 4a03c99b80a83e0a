/**
 * The effects that a step of the core returns, which the shell runs in order, and the inputs that the shell feeds back. The
 * shell decides nothing: it runs the list, and feeds the outcomes back as inputs.
 */
import type { Chain } from "../hash/chain.ts";
import type { Sid } from "./membership.ts";
import type { DigestAt, Phase, Role, SyncMode, Vote, ZabMessage } from "./messages.ts";
import type { Epoch, Zxid } from "./zxid.ts";

/** One change of durable state. All changes of a persist effect are written in one transaction. */
export type DurableWrite =
  /** a promise; `to`: the candidate that received it, or null if unknown, in which case it counts for no candidate */
  | { readonly type: "acceptedEpoch"; readonly epoch: Epoch; readonly to: Sid | null }
  | { readonly type: "currentEpoch"; readonly epoch: Epoch }
  | { readonly type: "initialized" }
  /** the record that is read when the ensemble wakes, as JSON */
  | { readonly type: "quiet"; readonly record: string }
  /** incarnations of the peers, see RecoveredState */
  | { readonly type: "peerBoots"; readonly boots: readonly number[] }
  /** this peer stops being a voter; the number of its next incarnation is above `boot` */
  | { readonly type: "amnesia"; readonly boot: number }
  | {
      readonly type: "append";
      readonly batch: Uint8Array;
      readonly first: Zxid;
      readonly last: Zxid;
      readonly count: number;
      /** chain after the batch's last txn */
      readonly chain: Chain;
      /** commit index known to this peer when it writes the row */
      readonly committed: Zxid;
    }
  /** drop everything after `to`, which is in the log */
  | { readonly type: "truncate"; readonly to: Zxid }
  /** the history is unusable; `snapshotSwitch` clears this flag */
  | { readonly type: "needSnap" }
  /** forget an unfinished SNAP and begin another */
  | { readonly type: "snapshotBegin" }
  | { readonly type: "snapshotChunk"; readonly bytes: Uint8Array }
  /** the received SNAP becomes the tree; the log restarts at its zxid */
  | { readonly type: "snapshotSwitch"; readonly zxid: Zxid; readonly chain: Chain };

/** A protocol event, for observers. Shapes and names are part of the HTTP API (`GET /v1/events`). */
export type TraceEvent =
  | {
      readonly type: "vote";
      /** the electionEpoch */
      readonly round: number;
      readonly leader: Sid;
      readonly epoch: Epoch;
      readonly zxid: Zxid;
    }
  | {
      readonly type: "role";
      readonly role: Role;
      readonly phase: Phase;
      readonly leader: Sid | null;
      readonly epoch: Epoch;
      /** why a role was given up */
      readonly reason?: string;
    }
  | { readonly type: "epoch"; readonly epoch: Epoch; readonly kind: "accepted" | "current" }
  | { readonly type: "sync"; readonly to: Sid; readonly mode: SyncMode; readonly zxid: Zxid }
  /** @param to learners that are sent it now; one that is sent it later has an event of its own then */
  | { readonly type: "propose"; readonly zxid: Zxid; readonly count: number; readonly to: readonly Sid[] }
  | { readonly type: "ack"; readonly from: Sid; readonly zxid: Zxid }
  | { readonly type: "commit"; readonly zxid: Zxid }
  | { readonly type: "ping"; readonly to: Sid; readonly rttMs: number }
  /** @param reason why this peer broke the link on purpose; absent if a call failed */
  | { readonly type: "link"; readonly to: Sid; readonly up: boolean; readonly reason?: string }
  | { readonly type: "active"; readonly sids: readonly Sid[] };

/** Which trace effects a peer emits: all, none, or all except those of writes and pings. */
export type Tracing = boolean | "rare";

/** Rare events: a node records them even without a listener. The others occur with every write or ping. */
const RARE: Readonly<Record<TraceEvent["type"], boolean>> = {
  vote: true,
  role: true,
  epoch: true,
  sync: true,
  link: true,
  active: true,
  propose: false,
  ack: false,
  commit: false,
  ping: false,
};

/** Whether this event is recorded without a listener. */
export const isRare = (event: TraceEvent): boolean => RARE[event.type];

/** An effect of a step, run by the shell. */
export type ZabEffect =
  /** write all in one transaction, then feed {@link ZabInput} `persisted` once it is durable */
  | { readonly type: "persist"; readonly seq: number; readonly writes: readonly DurableWrite[] }
  /** a message to a peer, on the link of this generation */
  | { readonly type: "send"; readonly to: Sid; readonly generation: number; readonly message: ZabMessage }
  /** a message in the return of the call being handled */
  | { readonly type: "reply"; readonly message: ZabMessage }
  /** committed txns, in order: those of `batch` from `offset` on, up to and including `upTo` */
  | { readonly type: "deliver"; readonly batch: Uint8Array; readonly offset: number; readonly upTo: Zxid }
  /** the tree is now the received snapshot's */
  | { readonly type: "snapshotLoaded"; readonly zxid: Zxid }
  /** make a checkpoint of the tree, then call `checkpointed`: a SNAP will be read from it */
  | { readonly type: "checkpoint" }
  /** feed `released` after this many ms: PROPOSALs or COMMITs are held back until then */
  | { readonly type: "hold"; readonly ms: number }
  /**
   * the leader's digest, to be compared once its zxid is applied here. A waiting digest is replaced only by one with
   * `asked`; otherwise a peer that lags would never reach any of them
   */
  | { readonly type: "digest"; readonly expected: DigestAt; readonly asked?: boolean }
  /** a learner's stay has ended: the learner will forward again every request that this leader has not proposed */
  | { readonly type: "learnerLeft"; readonly sid: Sid }
  /** role or phase changed: the server must recheck pending requests */
  | { readonly type: "role" }
  /** this incarnation is over: the next one begins from storage */
  | { readonly type: "abort"; readonly reason: string }
  | { readonly type: "trace"; readonly event: TraceEvent };

/** The origin of a call from a peer. */
export interface CallOrigin {
  readonly from: Sid;
  /** the sender's boot counter */
  readonly boot: number;
  /** generation of the sender's link to this peer */
  readonly generation: number;
  /** 0, 1, 2 … on that link */
  readonly seq: number;
  /** version of the sender's protocol; absent: 1 */
  readonly version?: number | undefined;
}

/** An input of a peer, fed by the shell. */
export type ZabInput =
  | { readonly type: "start" }
  /** a call of a peer; its replies go back in the return */
  | { readonly type: "call"; readonly origin: CallOrigin; readonly messages: readonly ZabMessage[] }
  /** the return of an own call */
  | {
      readonly type: "returned";
      readonly peer: Sid;
      readonly generation: number;
      readonly boot: number;
      /** version of the peer's protocol; absent: 1 */
      readonly version?: number | undefined;
      readonly messages: readonly ZabMessage[];
    }
  /** an own call failed with unknown outcome: the link of this generation is dead */
  | { readonly type: "linkBroken"; readonly peer: Sid; readonly generation: number }
  /** everything up to the persist effect `seq` is durable */
  | { readonly type: "persisted"; readonly seq: number }
  /** the time of a `hold` has elapsed */
  | { readonly type: "released" }
  /** a deadline may have passed */
  | { readonly type: "tick" };

/** The trace event of a vote. */
export const voteEvent = (electionEpoch: number, vote: Vote): TraceEvent => ({
  type: "vote",
  round: electionEpoch,
  leader: vote.leader,
  epoch: vote.epoch,
  zxid: vote.zxid,
});
