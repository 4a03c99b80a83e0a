/**
 * How the leader brings one learner up to date. The learner's whole history changes in one transaction, at NEWLEADER,
 * so that an interrupted synchronization leaves the old one as it was.
 *
 * @source Zab, DSN 2011, phase 2; ZooKeeper LearnerHandler.syncFollower, with ZOOKEEPER-1154, 2832, 4352, 4925 in mind:
 * logs are matched by entry and hash, never by a range of zxids
 */
import type { LogPosition } from "./messages.ts";
import { samePosition, type TxnLogReader } from "./txn-log.ts";
import type { Zxid } from "./zxid.ts";

export type SyncChoice =
  /** the learner's history is a prefix of ours: send what follows */
  | { readonly mode: "DIFF"; readonly from: LogPosition }
  /** the learner has something that we do not: it goes back to `to` or the nearest entry before, and is asked again */
  | { readonly mode: "TRUNC"; readonly to: Zxid }
  /** our log does not reach back to the learner, or it has nothing to build on */
  | { readonly mode: "SNAP" };

/**
 * @param learner last entry of the learner's log
 * @param needSnap the learner says that its history is of no use
 */
export function chooseSync(
  log: TxnLogReader,
  learner: LogPosition,
  needSnap: boolean,
  diffBytesMax: number,
): SyncChoice {
  if (needSnap) return { mode: "SNAP" };
  const ours = log.positionAt(learner.zxid);
  if (ours === undefined) return { mode: "SNAP" };
  if (samePosition(ours, learner)) {
    return log.bytesAfter(ours.zxid) > diffBytesMax ? { mode: "SNAP" } : { mode: "DIFF", from: ours };
  }
  // Same zxid, other history: one of both logs is damaged, and ours is a quorum's.
  if (ours.zxid.epoch === learner.zxid.epoch && ours.zxid.counter === learner.zxid.counter)
    return { mode: "SNAP" };
  return { mode: "TRUNC", to: ours.zxid };
}
