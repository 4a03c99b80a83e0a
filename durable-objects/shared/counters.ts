/**
 * What an object has cost since it was made. Counted in memory and written when it goes quiet, in the same commit as what it
 * notes then; what came after the last sleep is lost with the memory.
 */
export interface Counters {
  /** calls of peers, clients and other objects; asking for the status is not one */
  readonly requests: number;
  readonly alarms: number;
  /** rows of the log that were written or deleted */
  readonly logRows: number;
  /** rows of checkpoints and received snapshots that were written or deleted */
  readonly checkpointRows: number;
  /** rows of single values that were written */
  readonly metaRows: number;
  readonly rowsRead: number;
}

export const NO_COUNTERS: Counters = {
  requests: 0,
  alarms: 0,
  logRows: 0,
  checkpointRows: 0,
  metaRows: 0,
  rowsRead: 0,
};
