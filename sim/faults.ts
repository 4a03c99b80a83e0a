/** What may go wrong with single calls and alarms. */

/** Probabilities of what may go wrong with one call, and what alarms may do. */
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
  /** an alarm never comes, though it is set */
  loseAlarm: number;
  /** an alarm comes though nothing is due, or twice */
  spuriousTick: number;
}

/** No fault at all. */
export const NO_FAULTS: Faults = {
  loseReturn: 0,
  failCall: 0,
  duplicate: 0,
  reorder: 0,
  alarmLateMs: 0,
  loseAlarm: 0,
  spuriousTick: 0,
};

/** Whether something is wrong that delays messages or alarms: duplicates and needless alarms do not. */
export function delays({ failCall, loseReturn, reorder, alarmLateMs, loseAlarm }: Faults): boolean {
  return failCall > 0 || loseReturn > 0 || reorder > 0 || alarmLateMs > 0 || loseAlarm > 0;
}
