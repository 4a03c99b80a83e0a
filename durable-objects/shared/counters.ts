/**
 * Costs of an object since its creation. They are counted in memory and stored when the object falls asleep, in the same
 * commit as its other rows; counts after the last sleep are lost with the memory.
 */
export interface Counters {
  /** calls of peers, clients and other objects; reads of the status do not count */
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

/** Counters of an object that has done nothing. */
export const NO_COUNTERS: Counters = {
  requests: 0,
  alarms: 0,
  logRows: 0,
  checkpointRows: 0,
  metaRows: 0,
  rowsRead: 0,
};

/**
 * Counts the costs of one object: the stored ones, and those since it was loaded.
 * Invariant: counts only rise; those since the last store are lost with the memory.
 * @source decision 0011
 */
export class CostCounter {
  readonly #stored: Counters;
  /** calls since the object came into memory */
  requests = 0;
  /** alarms since the object came into memory */
  alarms = 0;

  /** @param stored the stored counts; a missing one is 0 */
  constructor(stored: Partial<Counters> | undefined) {
    this.#stored = { ...NO_COUNTERS, ...stored };
  }

  /** All counts. @param rows rows since the object was loaded */
  total(rows: {
    readonly log?: number;
    readonly checkpoint?: number;
    readonly meta: number;
    readonly read: number;
  }): Counters {
    const { requests, alarms, logRows, checkpointRows, metaRows, rowsRead } = this.#stored;
    return {
      requests: requests + this.requests,
      alarms: alarms + this.alarms,
      logRows: logRows + (rows.log ?? 0),
      checkpointRows: checkpointRows + (rows.checkpoint ?? 0),
      metaRows: metaRows + rows.meta,
      rowsRead: rowsRead + rows.read,
    };
  }
}
