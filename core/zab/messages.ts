/**
 * Messages between peers. Every message of a learner's stay with a leader carries `join`, the number the
 * learner gave that stay: what an earlier stay left in flight is recognised and dropped.
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

/** A place in the log: the txn and the chained hash of the log up to and including it. */
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

/** ELECTION, any → any. Idempotent; answered by the receiver's own. */
export interface Notification {
  readonly type: "NOTIFICATION";
  readonly role: Role;
  /** electionEpoch, the logical clock: the field keeps its name, which earlier versions read */
  readonly round: number;
  readonly vote: Vote;
  readonly acceptedEpoch: Epoch;
  /** false: a member without memory, whose vote does not count */
  readonly initialized: boolean;
  /** without memory because it is new: it has none to lose */
  readonly founding: boolean;
  /**
   * in the answer to a member without memory: its incarnation is recorded here, durably, and these are all that were seen; see
   * `packIncarnations`
   */
  readonly boots?: readonly number[];
}

/** In the return of any call: a later incarnation of the caller was seen here, so its storage is an old copy. */
export interface Outdated {
  readonly type: "OUTDATED";
  /** the latest incarnation seen */
  readonly boot: number;
}

/** Any → any, once a tick. */
export interface Ping {
  readonly type: "PING";
  /** sender's clock, ms; comes back in the PONG */
  readonly sentAt: number;
  readonly role: Role;
  /** present from a leader to its learner */
  readonly join?: number;
  readonly digest?: DigestAt;
  /** the learner's synchronization waits: its tree or another's differs from the leader's, and no quorum has confirmed either */
  readonly disputed?: boolean;
  /** a quorum has confirmed the leader's tree, which the learner has; absent: not, or the leader is of an earlier version */
  readonly confirmed?: boolean;
}

/** Any → any, the answer to PING. */
export interface Pong {
  readonly type: "PONG";
  readonly sentAt: number;
  readonly role: Role;
  /** ms since the last client of the answering peer asked something; 0 while one is connected */
  readonly idleMs?: number;
  /** the stay that `confirmed` is of */
  readonly join?: number;
  /** highest zxid of its leader's digests that this learner found equal; absent: not known */
  readonly confirmed?: Zxid;
}

/** Digest of tree and sessions once everything up to `zxid` is applied. */
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
  /** false: the epoch was promised before, maybe to another candidate, so this ack makes no quorum */
  readonly counted: boolean;
  readonly last: LogPosition;
  /** the learner cannot build on its own history */
  readonly needSnap: boolean;
  /** the learner's tree differed from this leader's at a zxid that both had applied */
  readonly diverged: boolean;
  /** that zxid; absent: not known */
  readonly divergedAt?: Zxid;
  /** of the learner's tree; null: of no use, or it does not count; absent: from a version that confirms no digests */
  readonly digest?: DigestAt | null;
  /** it takes a CHECK before UPTODATE; absent: its version does not */
  readonly checksEarly?: boolean;
  /** incarnations seen, see `packIncarnations`: promises of older ones do not count beside this one */
  readonly boots: readonly number[];
}

/** SYNCHRONIZATION, leader → learner: what follows continues the log at `from`. */
export interface Diff {
  readonly type: "DIFF";
  readonly join: number;
  readonly epoch: Epoch;
  readonly from: Zxid;
}

/** SYNCHRONIZATION, leader → learner: go back to `to` or to the nearest entry before it, and say where that is. */
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

/** SYNCHRONIZATION, leader → learner: a whole state at `at`, in chunks. */
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

/** SYNCHRONIZATION, learner → leader: the next SNAPCHUNK or PROPOSAL was received; nothing is promised. */
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

/** SYNCHRONIZATION, leader → learner: the history ends here; make it yours. */
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
  /** how long the COMMIT may wait in order to be sent with a PROPOSAL, ms: no client here needs it earlier */
  readonly patienceMs: number;
}

/** BROADCAST, leader → learner: serve. Paper: COMMIT-LD. */
export interface UpToDate {
  readonly type: "UPTODATE";
  readonly join: number;
  readonly epoch: Epoch;
  readonly commit: Zxid;
  /** a CHECK follows: serve once the leader's digest was found equal; absent: none follows, or the version sends no such field */
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
 * BROADCAST, and SYNCHRONIZATION after the ack of NEWLEADER, leader → learner: compare this digest, and answer by CONFIRM once it
 * is found equal. The leader has applied everything up to its zxid, so that is committed.
 */
export interface Check {
  readonly type: "CHECK";
  readonly join: number;
  readonly epoch: Epoch;
  readonly digest: DigestAt;
}

/** Learner → leader, the answer to CHECK: the leader's digest at `zxid` equals the one here. One that differs ends the stay. */
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
  | Check;

/** Messages of a learner to its leader, within its stay; FOLLOWERINFO begins one. */
export type LearnerMessage = FollowerInfo | AckEpoch | Position | Staged | Ack | Confirm;

/** Messages of Zab itself. */
export type ZabMessage = Notification | Outdated | Ping | Pong | LeaderMessage | LearnerMessage;
