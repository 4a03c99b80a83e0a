/** Rows that a storage has written, deleted or read since the object came into memory: what the platform charges for. */
export interface RowCounts {
  log: number;
  /** rows of checkpoints and received snapshots */
  checkpoint: number;
  meta: number;
  read: number;
}
