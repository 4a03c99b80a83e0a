/** What a peer reads from its storage: the recovered state at its start, and the checkpoint that a SNAP sends. */
import type { Sid } from "./membership.ts";
import type { LogPosition } from "./messages.ts";
import type { Epoch, Zxid } from "./zxid.ts";

/** Rows of the last checkpoint, which a SNAP sends. The shell makes no checkpoint while one is read. */
export interface SnapshotReader {
  /** the zxid and chain of the checkpoint */
  position(): LogPosition;
  /**
   * whether a quorum had confirmed the tree before the checkpoint was made from it, in this incarnation or an earlier one.
   * The rows read are compared with the digest stored then, so they are right whatever is in memory now.
   */
  readonly isConfirmed: boolean;
  /**
   * Packed rows from `cursor` on, at most `bytesMax`; `next` is undefined at the end.
   * @param cursor "" to begin
   * @param version of the protocol of the peer that will read them
   */
  read(
    cursor: string,
    bytesMax: number,
    version: number,
  ): { readonly bytes: Uint8Array; readonly next: string | undefined };
}

/** What a peer finds in its storage when it starts. @source etcd-raft Storage.InitialState */
export interface RecoveredState {
  /** number of this incarnation, above all earlier ones of this peer */
  readonly boot: number;
  readonly acceptedEpoch: Epoch;
  /** candidate that received the promise of acceptedEpoch; null if unknown */
  readonly promisedTo: Sid | null;
  readonly currentEpoch: Epoch;
  /** true for a voter; false for a peer without memory, which counts in no quorum */
  readonly initialized: boolean;
  /** a member of a new ensemble that has not voted yet */
  readonly founding: boolean;
  /** its history is unusable: only a SNAP replaces it */
  readonly needSnap: boolean;
  /** incarnations seen of the other peers, in the form of `packIncarnations` */
  readonly peerBoots: readonly number[];
  /** last zxid applied to the tree: the checkpoint plus the entries that the log knows to be committed */
  readonly applied: Zxid;
  /** the record made when it fell asleep, as JSON; null if it is awake */
  readonly quiet?: string | null;
}
