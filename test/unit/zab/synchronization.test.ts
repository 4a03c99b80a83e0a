import { describe, expect, it } from "vitest";
import type { LogPosition } from "../../../core/zab/messages.ts";
import { chooseSync, type SyncChoice } from "../../../core/zab/synchronization.ts";
import { TxnLog } from "../../../core/zab/txn-log.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import { endOf, entriesOf, START } from "../../sim/script.ts";
import { MemoryLogStorage } from "./memory-log-storage.ts";

const OURS = [
  [1, 1, 3],
  [1, 4, 3],
  [3, 1, 2],
  [3, 3, 1],
] as const;

function ours(cutUpTo = zxid(0, 0)): TxnLog {
  const log = new TxnLog(new MemoryLogStorage(), [], START);
  for (const entry of entriesOf(START, ...OURS)) {
    log.append(entry.batch, { ...entry, committed: zxid(0, 0) }, entry.chain);
  }
  log.cut(cutUpTo, 0);
  return log;
}

const choose = (learner: LogPosition, log = ours(), needSnap = false, diffBytesMax = 1e6): string =>
  say(chooseSync(log, learner, needSnap, diffBytesMax));

function say(choice: SyncChoice): string {
  switch (choice.mode) {
    case "DIFF":
      return `DIFF ${choice.from.zxid.epoch}.${choice.from.zxid.counter}`;
    case "TRUNC":
      return `TRUNC ${choice.to.epoch}.${choice.to.counter}`;
    case "SNAP":
      return "SNAP";
  }
}

/** A learner whose history is our first `rows` rows and then something else. */
const learner = (rows: number, ...own: readonly (readonly number[])[]): LogPosition =>
  endOf([...entriesOf(START, ...OURS.slice(0, rows), ...own)]);

describe("how a learner is brought up to date", () => {
  it("[ZAB-40] by an empty DIFF when it has the whole history", () => {
    expect(choose(learner(4))).toBe("DIFF 3.3");
  });

  it("[ZAB-40] by DIFF from its end when its history is a prefix of the leader's", () => {
    expect(choose(START)).toBe("DIFF 0.0");
    expect(choose(learner(1))).toBe("DIFF 1.3");
    expect(choose(learner(2))).toBe("DIFF 1.6");
    expect(choose(learner(1, [1, 4, 1]))).toBe("DIFF 1.4");
    expect(choose(learner(3))).toBe("DIFF 3.2");
  });

  it("[ZAB-41] by TRUNC first when its end is not an entry of the leader (ZOOKEEPER-1154)", () => {
    expect(choose(learner(2, [1, 7, 1]))).toBe("TRUNC 1.6");
    expect(choose(learner(2, [2, 1, 5]))).toBe("TRUNC 1.6");
    expect(choose(learner(4, [3, 4, 2]))).toBe("TRUNC 3.3");
    expect(choose(learner(4, [5, 1, 1]))).toBe("TRUNC 3.3");
  });

  it("[ZAB-41] by TRUNC to below a whole epoch that only the learner has", () => {
    expect(choose(learner(1, [2, 1, 9]))).toBe("TRUNC 1.6");
    expect(choose(learner(0, [2, 1, 9]))).toBe("TRUNC 1.6");
  });

  it("[ZAB-42] by SNAP when the zxids are equal and the histories are not", () => {
    expect(choose(learner(3, [3, 3, 1, 99]))).toBe("SNAP");
    expect(choose({ ...learner(2), chain: { high: 1, low: 1 } })).toBe("SNAP");
  });

  it("[ZAB-43] by SNAP when the leader's log does not reach back to it (ZOOKEEPER-4352)", () => {
    const cut = ours(zxid(1, 6));
    expect(choose(learner(1), cut)).toBe("SNAP");
    expect(choose(learner(2), cut)).toBe("DIFF 1.6");
    expect(choose(learner(3), cut)).toBe("DIFF 3.2");
    expect(choose(START, cut)).toBe("SNAP");
  });

  it("[ZAB-43] from an empty log by an empty DIFF, by TRUNC or by SNAP", () => {
    const empty = ours(zxid(3, 3));
    expect(empty.count).toBe(0);
    expect(choose(learner(4), empty)).toBe("DIFF 3.3");
    expect(choose(learner(4, [3, 4, 1]), empty)).toBe("TRUNC 3.3");
    expect(choose(learner(3), empty)).toBe("SNAP");
  });

  it("[ZAB-44] by SNAP when it requests it, or when DIFF would not fit into memory", () => {
    expect(choose(learner(4), ours(), true)).toBe("SNAP");
    expect(choose(learner(1), ours(), false, 10)).toBe("SNAP");
    expect(choose(learner(4), ours(), false, 0)).toBe("DIFF 3.3");
  });

  it("[ZAB-41] TRUNC after TRUNC ends at a common entry, for every pair of small histories", () => {
    const runs = [[], [1, 1, 1], [1, 2, 1], [1, 2, 1, 9], [2, 1, 1], [2, 1, 1, 9], [3, 1, 1]] as const;
    const histories: (readonly number[])[][] = [];
    for (const a of runs)
      for (const b of runs)
        for (const c of runs) {
          const history = [a, b, c].filter((run) => run.length > 0);
          try {
            entriesOf(START, ...history);
            histories.push(history);
          } catch {
            // These runs do not continue one another.
          }
        }
    let steps = 0;
    for (const mine of histories) {
      const log = new TxnLog(new MemoryLogStorage(), [], START);
      for (const entry of entriesOf(START, ...mine))
        log.append(entry.batch, { ...entry, committed: zxid(0, 0) }, entry.chain);
      for (const theirs of histories) {
        const other = new TxnLog(new MemoryLogStorage(), [], START);
        for (const entry of entriesOf(START, ...theirs))
          other.append(entry.batch, { ...entry, committed: zxid(0, 0) }, entry.chain);
        let position = other.last;
        let choice = chooseSync(log, position, false, 1e6);
        for (let i = 0; choice.mode === "TRUNC"; i++) {
          steps += 1;
          expect(i).toBeLessThan(5);
          const to = other.positionAt(choice.to);
          expect(to).toBeDefined();
          position = to ?? START;
          choice = chooseSync(log, position, false, 1e6);
        }
        if (choice.mode === "DIFF") expect(log.positionAt(choice.from.zxid)).toEqual(position);
      }
    }
    expect(steps).toBeGreaterThan(100);
  });
});
