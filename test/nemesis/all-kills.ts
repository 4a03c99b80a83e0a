/** All members lose their memory at once, and their process is killed, repeatedly and under load. */
import { setTimeout as wait } from "node:timers/promises";
import type { Attack } from "./nemeses.ts";
import type { Progress } from "./progress.ts";

export interface AllKillTimes {
  /** from the order to crash all to a leader with a quorum, ms, of each time */
  readonly leaderMs: number[];
  /** to the first write acknowledged after, ms */
  readonly writeMs: number[];
  /** from `kill -9` of the process, its start included, to a leader with a quorum, ms */
  readonly restartMs: number[];
}

/** After so many acknowledged writes the next blow falls. */
const WRITES_BETWEEN = 60;
const LOAD_MS_MAX = 20_000;
const LEADER_MS_MAX = 20_000;
const POLL_MS = 5;

/** @param crashes of all members at once @param kills of the process */
export async function allKills(
  { ensemble, faults }: Attack,
  progress: Progress,
  crashes: number,
  kills: number,
): Promise<AllKillTimes> {
  const times: AllKillTimes = { leaderMs: [], writeMs: [], restartMs: [] };
  const underLoad = async (): Promise<void> => {
    const wanted = progress.writes + WRITES_BETWEEN;
    const deadline = performance.now() + LOAD_MS_MAX;
    while (progress.writes < wanted) {
      if (performance.now() > deadline) {
        faults.push(`[nemesis] fewer than ${WRITES_BETWEEN} writes acknowledged in ${LOAD_MS_MAX} ms`);
        return;
      }
      await wait(POLL_MS);
    }
  };
  const ledAgain = async (since: number): Promise<number> => {
    if ((await ensemble.leader(LEADER_MS_MAX)) === null)
      faults.push(`[nemesis] nobody leads after an all-kill`);
    return performance.now() - since;
  };
  for (let i = 0; i < crashes; i++) {
    await ensemble.whole(LEADER_MS_MAX);
    await underLoad();
    const start = performance.now();
    await ensemble.fault("all", "crash");
    const dead = performance.now();
    times.leaderMs.push(await ledAgain(start));
    times.writeMs.push((await firstWrite(progress, dead)) - start);
  }
  for (let i = 0; i < kills; i++) {
    await ensemble.whole(LEADER_MS_MAX);
    await underLoad();
    const start = performance.now();
    await ensemble.stop();
    await ensemble.start(false);
    times.restartMs.push(await ledAgain(start));
  }
  await underLoad();
  return times;
}

/** When a write was acknowledged after `since`. */
async function firstWrite(progress: Progress, since: number): Promise<number> {
  const deadline = since + LOAD_MS_MAX;
  while (progress.lastAt <= since && performance.now() < deadline) await wait(1);
  return performance.now();
}
