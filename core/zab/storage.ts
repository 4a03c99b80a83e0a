/** What a peer reads of its storage: how it finds it at its start, and the checkpoint that a SNAP sends. */
import type { Sid } from "./membership.ts";
import type { LogPosition } from "./messages.ts";
import type { Epoch, Zxid } from "./zxid.ts";

/** Rows of the last checkpoint, which a SNAP sends. The shell makes no checkpoint while one is read. */
export interface SnapshotReader {
  /** the zxid and chain of the checkpoint */
  position(): LogPosition;
  /**
   * A quorum had confirmed the tree in memory before the checkpoint was made from it, in this incarnation or an earlier one.
   * What is read is compared with the digest that was stored then, so it is right, whatever is in memory now.
   */
  readonly isConfirmed: boolean;
  /**
   * Packed rows from `cursor` on, at most `bytesMax`; `next` is undefined at the end.
   * @param cursor "" to begin
   * @param version of the protocol of the peer that is to read them
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
  /** candidate that got the promise of acceptedEpoch; null: not known */
  readonly promisedTo: Sid | null;
  readonly currentEpoch: Epoch;
  /** a voter; false: without memory of what it promised, so it counts in no quorum */
  readonly initialized: boolean;
  /** a member of a brand-new ensemble that has not voted yet */
  readonly founding: boolean;
  /** its history cannot be built on: only a SNAP helps */
  readonly needSnap: boolean;
  /** incarnations seen of the other peers, in the form of `packIncarnations` */
  readonly peerBoots: readonly number[];
  /** what is applied in the tree: the checkpoint plus what the log knows to be committed */
  readonly applied: Zxid;
  /** the record of the last time it fell asleep, as JSON; null: it is awake */
  readonly quiet?: string | null;
}
