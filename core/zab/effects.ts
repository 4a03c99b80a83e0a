/**
 * What a step of the core asks the shell to do, in this order, and what the shell feeds back.
 * The shell decides nothing: it runs the list, and its outcomes are inputs again.
 */
import type { Chain } from "../hash/chain.ts";
import type { Sid } from "./membership.ts";
import type { DigestAt, Phase, Role, SyncMode, Vote, ZabMessage } from "./messages.ts";
import type { Epoch, Zxid } from "./zxid.ts";

/** One change of durable state. A persist effect's changes happen together or not at all. */
export type DurableWrite =
  /** a promise; `to`: the candidate that gets it, null: not known, so it counts for none */
  | { readonly type: "acceptedEpoch"; readonly epoch: Epoch; readonly to: Sid | null }
  | { readonly type: "currentEpoch"; readonly epoch: Epoch }
  | { readonly type: "initialized" }
  /** what is to be known when the ensemble wakes, as JSON */
  | { readonly type: "quiet"; readonly record: string }
  /** incarnations of the peers, see RecoveredState */
  | { readonly type: "peerBoots"; readonly boots: readonly number[] }
  /** this peer is a voter no more; its next incarnation has a number above `boot` */
  | { readonly type: "amnesia"; readonly boot: number }
  | {
      readonly type: "append";
      readonly batch: Uint8Array;
      readonly first: Zxid;
      readonly last: Zxid;
      readonly count: number;
      /** chain after the batch's last txn */
      readonly chain: Chain;
      /** what this peer knows to be committed when it writes the row */
      readonly committed: Zxid;
    }
  /** drop everything after `to`, which is in the log */
  | { readonly type: "truncate"; readonly to: Zxid }
  /** the history is of no use to build on; a `snapshotSwitch` ends that */
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
  | { readonly type: "propose"; readonly zxid: Zxid; readonly count: number; readonly to: readonly Sid[] }
  | { readonly type: "ack"; readonly from: Sid; readonly zxid: Zxid }
  | { readonly type: "commit"; readonly zxid: Zxid }
  | { readonly type: "ping"; readonly to: Sid; readonly rttMs: number }
  /** @param reason why it was broken on purpose; absent: it broke */
  | { readonly type: "link"; readonly to: Sid; readonly up: boolean; readonly reason?: string }
  | { readonly type: "active"; readonly sids: readonly Sid[] };

/** Which trace effects a peer makes: all, none, or all but those of writes and pings. */
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

/** Is this event recorded without a listener? */
export const isRare = (event: TraceEvent): boolean => RARE[event.type];

/** What a step asks the shell to do. */
export type ZabEffect =
  /** write all in one transaction, then feed {@link ZabInput} `persisted` once it is durable */
  | { readonly type: "persist"; readonly seq: number; readonly writes: readonly DurableWrite[] }
  /** a message to a peer, on the link of this generation */
  | { readonly type: "send"; readonly to: Sid; readonly generation: number; readonly message: ZabMessage }
  /** a message in the return of the call that is being handled */
  | { readonly type: "reply"; readonly message: ZabMessage }
  /** keep one call open on the peer; when it breaks, feed `linkBroken` */
  | { readonly type: "park"; readonly peer: Sid; readonly generation: number }
  /** committed txns, in order: those of `batch` from `offset` on, up to and including `upTo` */
  | { readonly type: "deliver"; readonly batch: Uint8Array; readonly offset: number; readonly upTo: Zxid }
  /** the tree is now the received snapshot's */
  | { readonly type: "snapshotLoaded"; readonly zxid: Zxid }
  /** make a checkpoint of the tree, then call `checkpointed`: a SNAP is to be read from it */
  | { readonly type: "checkpoint" }
  /** feed `released` after this time: COMMITs are held back until then */
  | { readonly type: "hold"; readonly ms: number }
  /**
   * the leader's digest, to be compared once this zxid is applied here; one that waits for that is replaced by one that the
   * leader asks about, and by no other, or a peer that lags would never reach any
   */
  | { readonly type: "digest"; readonly expected: DigestAt; readonly asked?: boolean }
  /** the stay of a learner with us is over: it will send again what it forwarded and we have not proposed */
  | { readonly type: "learnerLeft"; readonly sid: Sid }
  /** role or phase changed: requests under way must be checked again */
  | { readonly type: "role" }
  /** this incarnation is over: the next one begins from storage */
  | { readonly type: "abort"; readonly reason: string }
  | { readonly type: "trace"; readonly event: TraceEvent };

/** Where a call from a peer comes from. */
export interface CallOrigin {
  readonly from: Sid;
  /** the sender's boot counter */
  readonly boot: number;
  /** number of the sender's link to us */
  readonly generation: number;
  /** 0, 1, 2 … on that link */
  readonly seq: number;
  /** of the sender's protocol; absent: 1 */
  readonly version?: number | undefined;
}

/** What happened, as the shell tells a peer. */
export type ZabInput =
  | { readonly type: "start" }
  /** a call of a peer; its replies go back in the return */
  | { readonly type: "call"; readonly origin: CallOrigin; readonly messages: readonly ZabMessage[] }
  /** the return of one of our calls */
  | {
      readonly type: "returned";
      readonly peer: Sid;
      readonly generation: number;
      readonly boot: number;
      /** of the peer's protocol; absent: 1 */
      readonly version?: number | undefined;
      readonly messages: readonly ZabMessage[];
    }
  /** a call of ours failed, with unknown outcome: the link of this generation is dead */
  | { readonly type: "linkBroken"; readonly peer: Sid; readonly generation: number }
  /** everything up to the persist effect `seq` is durable */
  | { readonly type: "persisted"; readonly seq: number }
  /** the time of a `hold` is over */
  | { readonly type: "released" }
  /** a deadline may have passed */
  | { readonly type: "tick" };

/** The candidate as text for a trace. */
export const voteEvent = (electionEpoch: number, vote: Vote): TraceEvent => ({
  type: "vote",
  round: electionEpoch,
  leader: vote.leader,
  epoch: vote.epoch,
  zxid: vote.zxid,
});
