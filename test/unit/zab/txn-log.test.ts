import { describe, expect, it } from "vitest";
import type { LogEntry } from "../../../core/zab/log-entry.ts";
import { makeEntry } from "../../../core/zab/log-entry.ts";
import { ROWS_READ_MAX, samePosition, TxnLog } from "../../../core/zab/txn-log.ts";
import { type Zxid, zxid } from "../../../core/zab/zxid.ts";
import { batchOf, endOf, entriesOf, START } from "../../sim/script.ts";
import { MemoryLogStorage } from "./memory-log-storage.ts";

interface Made {
  readonly log: TxnLog;
  readonly storage: MemoryLogStorage;
  readonly entries: readonly LogEntry[];
}

function made(runs: readonly (readonly number[])[], committed: Zxid = zxid(0, 0)): Made {
  const storage = new MemoryLogStorage();
  const log = new TxnLog(storage, [], START);
  const entries = entriesOf(START, ...runs);
  for (const entry of entries) log.append(entry.batch, { ...entry, committed }, entry.chain);
  return { log, storage, entries };
}

/** The log as a peer that starts finds it. */
function reopened({ storage }: Made): TxnLog {
  const rows = [...storage.rows.values()].map(({ row }) => row).sort((a, b) => a.seq - b.seq);
  return new TxnLog(storage, rows, storage.base ?? START);
}

const at = (log: TxnLog, epoch: number, counter: number): string => {
  const position = log.positionAt(zxid(epoch, counter));
  return position === undefined ? "below" : `${position.zxid.epoch}.${position.zxid.counter}`;
};

/** Every txn of the log after `after`, one slice an item. */
function slices(log: TxnLog, after: Zxid): string[] {
  const out: string[] = [];
  for (let slice = log.read(after); slice !== undefined; slice = log.read(slice.last)) {
    out.push(`${slice.prev.zxid.epoch}.${slice.prev.zxid.counter}→${slice.last.epoch}.${slice.last.counter}`);
  }
  return out;
}

describe("the transaction log", () => {
  it("[ZAB-10] of a member without memory is empty", () => {
    const { log } = made([]);
    expect(log.last).toEqual(START);
    expect(log.base).toEqual(START);
    expect(log.count).toBe(0);
    expect(log.read(zxid(0, 0))).toBeUndefined();
    expect(log.positionAt(zxid(9, 9))).toEqual(START);
  });

  it("[ZAB-10] keeps one row per group commit and chains it to the one before", () => {
    const { log, entries } = made([
      [1, 1, 3],
      [1, 4, 2],
      [2, 1, 1],
    ]);
    expect(log.rows.map((row) => row.count)).toEqual([3, 2, 1]);
    expect(log.count).toBe(6);
    expect(samePosition(log.last, endOf(entries))).toBe(true);
    for (const [i, row] of log.rows.entries()) {
      if (i > 0) expect(row.before).toEqual(log.rows[i - 1]?.after);
    }
  });

  it("[ZAB-10] chains txns, not rows: other row boundaries give the same chain", () => {
    const one = made([[1, 1, 6]]);
    const many = made([
      [1, 1, 1],
      [1, 2, 4],
      [1, 6, 1],
    ]);
    expect(one.log.last).toEqual(many.log.last);
    for (let counter = 1; counter <= 6; counter++) {
      expect(one.log.positionAt(zxid(1, counter))).toEqual(many.log.positionAt(zxid(1, counter)));
    }
  });

  it("[ZAB-10] distinguishes histories whose zxids are equal", () => {
    const ours = made([
      [1, 1, 2, 0],
      [1, 3, 1, 0],
    ]);
    const theirs = made([
      [1, 1, 2, 7],
      [1, 3, 1, 0],
    ]);
    expect(samePosition(ours.log.last, theirs.log.last)).toBe(false);
  });

  it("[ZAB-11] finds an entry or the nearest before it, across rows and epochs", () => {
    const { log } = made([
      [1, 1, 3],
      [1, 4, 3],
      [3, 1, 2],
    ]);
    expect(at(log, 1, 2)).toBe("1.2");
    expect(at(log, 1, 3)).toBe("1.3");
    expect(at(log, 1, 6)).toBe("1.6");
    expect(at(log, 1, 9)).toBe("1.6");
    expect(at(log, 2, 5)).toBe("1.6");
    expect(at(log, 3, 1)).toBe("3.1");
    expect(at(log, 9, 9)).toBe("3.2");
    expect(at(log, 0, 0)).toBe("0.0");
    expect(at(log, 0, 7)).toBe("0.0");
  });

  it("[ZAB-11] can be read from any entry, also in the middle of a row", () => {
    const { log, entries } = made([
      [1, 1, 3],
      [1, 4, 3],
    ]);
    expect(slices(log, zxid(0, 0))).toEqual(["0.0→1.3", "1.3→1.6"]);
    expect(slices(log, zxid(1, 1))).toEqual(["1.1→1.3", "1.3→1.6"]);
    expect(slices(log, zxid(1, 5))).toEqual(["1.5→1.6"]);
    expect(slices(log, zxid(1, 6))).toEqual([]);
    const slice = log.read(zxid(1, 5));
    expect(makeEntry(slice?.prev ?? START, slice?.batch ?? new Uint8Array(0))?.chain).toEqual(
      endOf(entries).chain,
    );
  });

  it("[ZAB-11] can be read only after an entry that it has", () => {
    const { log } = made([
      [1, 1, 3],
      [2, 1, 1],
    ]);
    expect(() => log.read(zxid(1, 4))).toThrow("behind an entry");
  });

  it("[ZAB-101] joins rows up to the limit, also of two epochs, and sends a larger one alone", () => {
    const { log, entries } = made([
      [1, 1, 3],
      [1, 4, 2],
      [2, 1, 1],
      [2, 2, 1],
    ]);
    const bytes = log.rows.map((row) => row.bytes);
    const sum = (count: number): number => bytes.slice(0, count).reduce((a, b) => a + b, 0);
    const read = (after: Zxid, bytesMax: number): string => {
      const slice = log.read(after, bytesMax);
      if (slice === undefined) return "end";
      const entry = makeEntry(slice.prev, slice.batch);
      expect(entry).toMatchObject({ last: slice.last, chain: slice.chain });
      return `${entry?.count} to ${slice.last.epoch}.${slice.last.counter}`;
    };
    expect(read(zxid(0, 0), sum(4))).toBe("7 to 2.2");
    expect(log.read(zxid(0, 0), sum(4))?.chain).toEqual(endOf(entries).chain);
    expect(read(zxid(0, 0), sum(3))).toBe("6 to 2.1");
    expect(read(zxid(0, 0), sum(3) - 1)).toBe("5 to 1.5");
    expect(read(zxid(0, 0), 1)).toBe("3 to 1.3");
    expect(read(zxid(1, 2), sum(4))).toBe("5 to 2.2");
    expect(read(zxid(1, 5), sum(4))).toBe("2 to 2.2");
    expect(read(zxid(2, 2), sum(4))).toBe("end");
  });

  it("[ZAB-101] limits the number of rows joined in a turn", () => {
    const { log } = made(Array.from({ length: ROWS_READ_MAX + 2 }, (_, i) => [1, i + 1, 1]));
    const whole = Number.MAX_SAFE_INTEGER;
    expect(log.read(zxid(0, 0), whole)?.last).toEqual(zxid(1, ROWS_READ_MAX));
    expect(log.read(zxid(1, ROWS_READ_MAX), whole)?.last).toEqual(zxid(1, ROWS_READ_MAX + 2));
  });

  it("[ZAB-11] counts the bytes of the rows after a position", () => {
    const { log, entries } = made([
      [1, 1, 3],
      [1, 4, 1],
    ]);
    expect(log.bytesAfter(zxid(1, 4))).toBe(0);
    expect(log.bytesAfter(zxid(1, 3))).toBe(entries[1]?.batch.length);
    expect(log.bytesAfter(zxid(0, 0))).toBe(
      (entries[0]?.batch.length ?? 0) + (entries[1]?.batch.length ?? 0),
    );
  });

  it("[ZAB-12] accepts only entries after its end", () => {
    const { log, entries } = made([[1, 1, 3]]);
    const again = entries[0];
    if (again === undefined) throw new Error("there is an entry");
    expect(() => log.append(again.batch, { ...again, committed: zxid(0, 0) }, again.chain)).toThrow(
      "continues",
    );
  });

  it("[ZAB-13] is truncated inside a packed row, in storage and in memory alike", () => {
    const world = made([
      [1, 1, 5],
      [1, 6, 5],
      [1, 11, 5],
    ]);
    const { log, storage } = world;
    const place = log.positionAt(zxid(1, 8));
    log.truncate(zxid(1, 8));
    expect(log.last).toEqual(place);
    expect(log.rows.map((row) => row.count)).toEqual([5, 3]);
    expect(storage.rows.size).toBe(2);
    expect(slices(log, zxid(1, 5))).toEqual(["1.5→1.8"]);
    for (const each of [log, reopened(world)]) {
      const slice = each.read(zxid(1, 5));
      expect(makeEntry(slice?.prev ?? START, slice?.batch ?? new Uint8Array(0))?.last).toEqual(zxid(1, 8));
    }
    expect(reopened(world).last).toEqual(place);
    const onward = makeEntry(log.last, batchOf(2, 1, 2));
    if (onward === undefined) throw new Error("the next epoch continues the log");
    log.append(onward.batch, { ...onward, committed: zxid(0, 0) }, onward.chain);
    expect(reopened(world).last).toEqual({ zxid: zxid(2, 2), chain: onward.chain });
    expect(slices(reopened(world), zxid(1, 8))).toEqual(["1.8→2.2"]);
  });

  for (let counter = 0; counter <= 9; counter++) {
    it(`[ZAB-13] is truncated to 1.${counter} of 9, wherever the rows end`, () => {
      const world = made([
        [1, 1, 2],
        [1, 3, 1],
        [1, 4, 4],
        [1, 8, 2],
      ]);
      const to = counter === 0 ? zxid(0, 0) : zxid(1, counter);
      const place = world.log.positionAt(to);
      world.log.truncate(to);
      expect(world.log.last).toEqual(place);
      expect(world.log.count).toBe(counter);
      expect(reopened(world).last).toEqual(place);
      expect(reopened(world).count).toBe(counter);
    });
  }

  it("[ZAB-13] is truncated only at one of its entries", () => {
    const { log } = made([
      [1, 1, 2],
      [3, 1, 2],
    ]);
    expect(() => log.truncate(zxid(2, 1))).toThrow("at an entry");
    expect(() => log.truncate(zxid(1, 5))).toThrow("at an entry");
  });

  it("[ZAB-13] keeps entries that are known to be committed", () => {
    const { log } = made([[1, 1, 5]], zxid(1, 3));
    expect(log.committed).toEqual(zxid(1, 3));
    expect(() => log.truncate(zxid(1, 2))).toThrow("known to be committed");
    log.truncate(zxid(1, 3));
    expect(log.last.zxid).toEqual(zxid(1, 3));
  });

  it("[ZAB-14] drops whole rows below a checkpoint, and keeps the configured number of txns", () => {
    const world = made([
      [1, 1, 4],
      [1, 5, 4],
      [1, 9, 4],
      [1, 13, 4],
    ]);
    const { log } = world;
    const end = log.last;
    log.cut(zxid(1, 12), 7);
    expect(log.base.zxid).toEqual(zxid(1, 8));
    expect(log.count).toBe(8);
    expect(log.last).toEqual(end);
    expect(log.positionAt(zxid(1, 7))).toBeUndefined();
    expect(log.positionAt(zxid(1, 8))).toEqual(log.base);
    expect(slices(log, zxid(1, 8))).toEqual(["1.8→1.12", "1.12→1.16"]);
    expect(reopened(world).base).toEqual(log.base);
    expect(reopened(world).last).toEqual(end);
  });

  it("[ZAB-14] keeps the entries that the slowest learner lacks, unless they are too many for a DIFF", () => {
    const runs = [1, 5, 9, 13].map((counter) => [1, counter, 4] as const);
    const { log } = made(runs);
    const bytes = log.bytesAfter(zxid(1, 0));
    log.cut(zxid(1, 16), 0, bytes, zxid(1, 6));
    expect(log.base.zxid).toEqual(zxid(1, 4));
    log.cut(zxid(1, 16), 0, bytes / 2, zxid(1, 6));
    expect(log.base.zxid).toEqual(zxid(1, 8));
    log.cut(zxid(1, 16), 0, bytes, zxid(1, 16));
    expect(log.base.zxid).toEqual(zxid(1, 16));
  });

  it("[ZAB-14] never drops entries that the checkpoint lacks", () => {
    const { log } = made([
      [1, 1, 4],
      [1, 5, 4],
    ]);
    log.cut(zxid(1, 3), 0);
    expect(log.base).toEqual(START);
    log.cut(zxid(1, 7), 0);
    expect(log.base.zxid).toEqual(zxid(1, 4));
    log.cut(zxid(1, 8), 0);
    expect(log.base.zxid).toEqual(zxid(1, 8));
    expect(log.count).toBe(0);
    expect(log.last).toEqual(log.base);
  });

  it("[ZAB-14] continues after a cut that left no row", () => {
    const world = made([[1, 1, 4]]);
    world.log.cut(zxid(1, 4), 0);
    const next = makeEntry(world.log.last, batchOf(1, 5, 2));
    if (next === undefined) throw new Error("the counter continues");
    world.log.append(next.batch, { ...next, committed: zxid(1, 4) }, next.chain);
    expect(reopened(world).last).toEqual({ zxid: zxid(1, 6), chain: next.chain });
    expect(world.log.committed).toEqual(zxid(1, 4));
  });

  it("[ZAB-15] begins at the zxid of a snapshot", () => {
    const world = made([
      [1, 1, 4],
      [1, 5, 4],
    ]);
    const base = { zxid: zxid(3, 7), chain: { high: 5, low: 6 } };
    world.log.restart(base);
    expect(world.log.last).toEqual(base);
    expect(world.log.committed).toEqual(base.zxid);
    expect(world.storage.rows.size).toBe(0);
    const next = makeEntry(base, batchOf(3, 8, 2));
    if (next === undefined) throw new Error("the counter continues");
    world.log.append(next.batch, { ...next, committed: zxid(3, 7) }, next.chain);
    expect(reopened(world).last).toEqual({ zxid: zxid(3, 9), chain: next.chain });
  });

  it("[ZAB-16] refuses rows whose chain is broken", () => {
    const world = made([
      [1, 1, 4],
      [1, 5, 4],
      [1, 9, 1],
    ]);
    const second = world.storage.rows.get(2);
    if (second === undefined) throw new Error("there are three rows");
    world.storage.rows.delete(2);
    expect(() => reopened(world)).toThrow("continues the chain");
    world.storage.rows.set(2, {
      ...second,
      row: { ...second.row, after: { ...second.row.after, low: second.row.after.low ^ 1 } },
    });
    expect(() => reopened(world)).toThrow("log row 3 continues the chain");
  });

  it("[ZAB-16] refuses a row whose zxids do not follow the row before it", () => {
    const world = made(
      [
        [1, 5, 1],
        [2, 1, 1],
      ].map(([epoch = 0, , count = 0], i) => [epoch, 1, count, i]),
    );
    const rows = [...world.storage.rows.values()].map(({ row }) => row);
    const [first, second] = rows;
    if (first === undefined || second === undefined) throw new Error("there are two rows");
    const swapped = [first, { ...second, first: zxid(1, 1), last: zxid(1, 1) }];
    expect(() => new TxnLog(world.storage, swapped, START)).toThrow("comes after");
  });

  it("[ZAB-17] remembers the highest commit index of any row", () => {
    const storage = new MemoryLogStorage();
    const log = new TxnLog(storage, [], START);
    const entries = entriesOf(START, [1, 1, 2], [1, 3, 2], [1, 5, 1]);
    const notes = [zxid(0, 0), zxid(1, 2), zxid(1, 2)];
    for (const [i, entry] of entries.entries()) {
      log.append(entry.batch, { ...entry, committed: notes[i] ?? zxid(0, 0) }, entry.chain);
    }
    expect(log.committed).toEqual(zxid(1, 2));
    expect(reopened({ log, storage, entries }).committed).toEqual(zxid(1, 2));
    log.cut(zxid(1, 5), 0);
    expect(log.committed).toEqual(zxid(1, 5));
  });

  it("[ZAB-11] reads entries that are no longer in its cache from storage", () => {
    const { log, storage } = made(Array.from({ length: 50 }, (_, i) => [1, i * 2 + 1, 2]));
    const rows = [...storage.rows.values()].map(({ row }) => row);
    const fresh = new TxnLog(storage, rows, START);
    expect(slices(fresh, zxid(0, 0))).toEqual(slices(log, zxid(0, 0)));
    expect(slices(fresh, zxid(1, 33)).length).toBe(34);
  });
});
