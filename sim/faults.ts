/** Faults of single calls and alarms. */

/** Probabilities of the faults of one call, and faults of alarms. */
export interface Faults {
  /** executed, but the caller sees a break */
  loseReturn: number;
  /** not executed, and the caller sees a break */
  failCall: number;
  /** delivered a second time, later */
  duplicate: number;
  /** delivered behind calls that came after it */
  reorder: number;
  /** an alarm comes later by up to this; ms */
  alarmLateMs: number;
  /** delay of an alarm that is set while the ensemble sleeps; ms */
  wakeLateMs: number;
  /** probability that a set alarm never fires */
  loseAlarm: number;
  /** probability that an alarm fires although nothing is due, or twice */
  spuriousTick: number;
}

/** No fault at all. */
export const NO_FAULTS: Faults = {
  loseReturn: 0,
  failCall: 0,
  duplicate: 0,
  reorder: 0,
  alarmLateMs: 0,
  wakeLateMs: 0,
  loseAlarm: 0,
  spuriousTick: 0,
};

/** Whether some fault delays messages or alarms; duplicates and spurious alarms do not. */
export function delays(faults: Faults): boolean {
  const { failCall, loseReturn, reorder, alarmLateMs, wakeLateMs, loseAlarm } = faults;
  return failCall + loseReturn + reorder + alarmLateMs + wakeLateMs + loseAlarm > 0;
}
