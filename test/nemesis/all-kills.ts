/** All members lose their memory at once, and the process that they live in is killed, over and over, under load. */
import { setTimeout as wait } from "node:timers/promises";
import type { RecordingClient } from "./client.ts";
import type { Attack } from "./nemeses.ts";

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
  clients: readonly RecordingClient[],
  crashes: number,
  kills: number,
): Promise<AllKillTimes> {
  const times: AllKillTimes = { leaderMs: [], writeMs: [], restartMs: [] };
  const underLoad = async (): Promise<void> => {
    const wanted = writesOf(clients) + WRITES_BETWEEN;
    const deadline = performance.now() + LOAD_MS_MAX;
    while (writesOf(clients) < wanted) {
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
    times.writeMs.push((await firstWrite(clients, dead)) - start);
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

const writesOf = (clients: readonly RecordingClient[]): number =>
  clients.reduce((sum, { writes }) => sum + writes, 0);

/** When the first write was acknowledged that was so after `since`. */
async function firstWrite(clients: readonly RecordingClient[], since: number): Promise<number> {
  const before = writesOf(clients);
  const deadline = since + LOAD_MS_MAX;
  while (performance.now() < deadline) {
    const [first] = clients.map(({ lastWriteAt }) => lastWriteAt).filter((at) => at > since);
    if (first !== undefined && writesOf(clients) >= before) return first;
    await wait(1);
  }
  return deadline;
}
