/**
 * Messages between peers. Every message of a learner's stay with a leader carries `join`, the number that the learner gave
 * to that stay, so that messages of an earlier stay are recognised and dropped.
 *
 * @source ZooKeeper `Leader` packet types and `FastLeaderElection.Notification`
 */
import type { Chain } from "../hash/chain.ts";
import type { Sid } from "./membership.ts";
import type { Epoch, Zxid } from "./zxid.ts";

/** State of a peer. @source ZooKeeper QuorumPeer.ServerState */
export type Role = "LOOKING" | "FOLLOWING" | "LEADING";
/** Phase of Zab; ELECTION while a peer looks for a leader. @source ZooKeeper QuorumPeer.ZabState */
export type Phase = "ELECTION" | "DISCOVERY" | "SYNCHRONIZATION" | "BROADCAST";
/** How a learner is brought up to date. */
export type SyncMode = "DIFF" | "TRUNC" | "SNAP";

/** A position in the log: the zxid of a txn and the hash chain up to and including it. */
export interface LogPosition {
  readonly zxid: Zxid;
  readonly chain: Chain;
}

/** A candidate. Order: epoch, then zxid, then leader. */
export interface Vote {
  readonly leader: Sid;
  /** the candidate's currentEpoch */
  readonly epoch: Epoch;
  /** the candidate's last logged zxid */
  readonly zxid: Zxid;
}

/** ELECTION, any → any. Idempotent; the receiver answers with its own. */
export interface Notification {
  readonly type: "NOTIFICATION";
  readonly role: Role;
  /** electionEpoch, the logical clock; the field keeps this name because earlier versions read it */
  readonly round: number;
  readonly vote: Vote;
  readonly acceptedEpoch: Epoch;
  /** false: a member without memory, whose vote does not count */
  readonly initialized: boolean;
  /** without memory because it is new, so it has no promises to lose */
  readonly founding: boolean;
  /**
   * in the answer to a member without memory: the incarnations seen, the receiver's included, which are durable at the
   * sender; see `packIncarnations`
   */
  readonly boots?: readonly number[];
}

/** In the return of any call: the callee has seen a later incarnation of the caller, so the caller's storage is an old copy. */
export interface Outdated {
  readonly type: "OUTDATED";
  /** the latest incarnation seen */
  readonly boot: number;
}

/** Any → any, once a tick. */
export interface Ping {
  readonly type: "PING";
  /** the sender's clock, ms; the PONG returns it */
  readonly sentAt: number;
  readonly role: Role;
  /** present from a leader to its learner */
  readonly join?: number;
  readonly digest?: DigestAt;
  /**
   * the leader holds back the learner's synchronization: a learner's tree differs from the leader's, and no quorum has
   * confirmed either
   */
  readonly disputed?: boolean;
  /** a quorum has confirmed the leader's tree; absent if none has, or if the leader's version is older than this field */
  readonly confirmed?: boolean;
}

/** Any → any, the answer to PING. */
export interface Pong {
  readonly type: "PONG";
  readonly sentAt: number;
  readonly role: Role;
  /** ms since the last client request at the answering peer; 0 while a client is connected */
  readonly idleMs?: number;
  /** the stay to which `confirmed` belongs */
  readonly join?: number;
  /** highest zxid at which this learner found the leader's digest equal to its own; absent if unknown */
  readonly confirmed?: Zxid;
}

/** Digest of tree and sessions after everything up to `zxid` is applied. */
export interface DigestAt {
  readonly zxid: Zxid;
  readonly high: number;
  readonly low: number;
}

/** DISCOVERY, learner → leader. Paper: CEPOCH. */
export interface FollowerInfo {
  readonly type: "FOLLOWERINFO";
  readonly join: number;
  readonly acceptedEpoch: Epoch;
  readonly initialized: boolean;
}

/** DISCOVERY, leader → learner. Paper: NEWEPOCH. */
export interface LeaderInfo {
  readonly type: "LEADERINFO";
  readonly join: number;
  readonly epoch: Epoch;
}

/** DISCOVERY, learner → leader: the promise is durable. */
export interface AckEpoch {
  readonly type: "ACKEPOCH";
  readonly join: number;
  readonly epoch: Epoch;
  readonly currentEpoch: Epoch;
  /** false: the epoch was promised before, maybe to another candidate, so this ack counts in no quorum */
  readonly counted: boolean;
  readonly last: LogPosition;
  /** the learner's history is unusable */
  readonly needSnap: boolean;
  /** the learner's tree differed from this leader's at a zxid that both had applied */
  readonly diverged: boolean;
  /** zxid at which they differed; absent if unknown */
  readonly divergedAt?: Zxid;
  /**
   * digest of the learner's tree; null if the tree is unusable or the learner counts in no quorum; absent if its version
   * confirms no digests
   */
  readonly digest?: DigestAt | null;
  /** the learner accepts a CHECK before UPTODATE; absent if its version does not */
  readonly checksEarly?: boolean;
  /** incarnations seen, see `packIncarnations`: promises of older incarnations do not count together with this promise */
  readonly boots: readonly number[];
}

/** SYNCHRONIZATION, leader → learner: what follows continues the log at `from`. */
export interface Diff {
  readonly type: "DIFF";
  readonly join: number;
  readonly epoch: Epoch;
  readonly from: Zxid;
}

/** SYNCHRONIZATION, leader → learner: truncate to `to` or to the nearest entry before it, and report that entry. */
export interface Trunc {
  readonly type: "TRUNC";
  readonly join: number;
  readonly epoch: Epoch;
  readonly to: Zxid;
}

/** SYNCHRONIZATION, learner → leader: the answer to TRUNC. */
export interface Position {
  readonly type: "POSITION";
  readonly join: number;
  readonly epoch: Epoch;
  readonly last: LogPosition;
  readonly needSnap: boolean;
}

/** SYNCHRONIZATION, leader → learner: a snapshot at `at` follows, in chunks. */
export interface Snap {
  readonly type: "SNAP";
  readonly join: number;
  readonly epoch: Epoch;
  readonly at: LogPosition;
}

/** SYNCHRONIZATION, leader → learner: the next rows of the SNAP. */
export interface SnapChunk {
  readonly type: "SNAPCHUNK";
  readonly join: number;
  readonly epoch: Epoch;
  /** 0, 1, 2 … within one SNAP */
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly done: boolean;
}

/** SYNCHRONIZATION, learner → leader: the next SNAPCHUNK or PROPOSAL was received; it need not be durable. */
export interface Staged {
  readonly type: "STAGED";
  readonly join: number;
  readonly epoch: Epoch;
}

/** SYNCHRONIZATION and BROADCAST, leader → learner: the entries that follow `prev`. */
export interface Proposal {
  readonly type: "PROPOSAL";
  readonly join: number;
  readonly epoch: Epoch;
  readonly prev: LogPosition;
  /** packed txns, contiguous */
  readonly batch: Uint8Array;
  readonly last: Zxid;
  /** the leader's commit index when this was sent */
  readonly commit: Zxid;
  readonly digest?: DigestAt;
}

/** SYNCHRONIZATION, leader → learner: the history is complete; the learner adopts it. */
export interface NewLeader {
  readonly type: "NEWLEADER";
  readonly join: number;
  readonly epoch: Epoch;
  readonly last: Zxid;
}

/** SYNCHRONIZATION and BROADCAST, learner → leader: everything up to `zxid` is durable here. The first acks NEWLEADER. */
export interface Ack {
  readonly type: "ACK";
  readonly join: number;
  readonly epoch: Epoch;
  readonly zxid: Zxid;
  /** how long PROPOSALs and COMMITs may be held back to be sent together, ms; 0 while a client of the learner waits */
  readonly patienceMs: number;
}

/** BROADCAST, leader → learner: the learner may serve. Paper: COMMIT-LD. */
export interface UpToDate {
  readonly type: "UPTODATE";
  readonly join: number;
  readonly epoch: Epoch;
  readonly commit: Zxid;
  /** a CHECK follows, and the learner serves only once its digest was found equal; absent if none follows, or in older versions */
  readonly check?: boolean;
}

/** BROADCAST, leader → learner: everything up to `zxid` is committed. */
export interface Commit {
  readonly type: "COMMIT";
  readonly join: number;
  readonly epoch: Epoch;
  readonly zxid: Zxid;
  readonly digest?: DigestAt;
}

/**
 * BROADCAST, leader → learner, in the return of a REQUEST whose writes are proposed: everything up to `zxid` is durable at the leader.
 * Where the two are a quorum, the learner knows of a commit as soon as the entry is durable at itself, without a COMMIT.
 */
export interface LeaderAck {
  readonly type: "LEADERACK";
  readonly join: number;
  readonly epoch: Epoch;
  readonly zxid: Zxid;
}

/**
 * BROADCAST, and SYNCHRONIZATION after the ack of NEWLEADER, leader → learner: compare this digest, and answer with CONFIRM
 * once it was found equal. The leader has applied everything up to its zxid, which is therefore committed.
 */
export interface Check {
  readonly type: "CHECK";
  readonly join: number;
  readonly epoch: Epoch;
  readonly digest: DigestAt;
}

/**
 * Learner → leader, the answer to CHECK: the leader's digest at `zxid` equals the learner's. If they differ, the learner
 * ends the stay instead.
 */
export interface Confirm {
  readonly type: "CONFIRM";
  readonly join: number;
  readonly epoch: Epoch;
  readonly zxid: Zxid;
}

/** Messages of a leader to a learner, within the learner's stay. */
export type LeaderMessage =
  | LeaderInfo
  | Diff
  | Trunc
  | Snap
  | SnapChunk
  | Proposal
  | NewLeader
  | UpToDate
  | Commit
  | LeaderAck
  | Check;

/** Messages of a learner to its leader, within its stay; FOLLOWERINFO begins one. */
export type LearnerMessage = FollowerInfo | AckEpoch | Position | Staged | Ack | Confirm;

/** Messages of Zab itself. */
export type ZabMessage = Notification | Outdated | Ping | Pong | LeaderMessage | LearnerMessage;
