/**
 * A partition whose rows are damaged: it never returns a value that was not written, and everything else stays
 * readable.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { encodeText } from "../../core/broker/json-text.ts";
import type { Leadership } from "../../core/broker/partition.ts";
import { rowChecksum } from "../../core/broker/stored-chunk.ts";
import { decodeBatches, encodeRecordBatch } from "../../core/wire/record-batch-codec.ts";
import { decodeTailFrame } from "../../core/wire/tail-frame-codec.ts";

let number = 0;
const LEADERSHIP: Leadership = {
  topic: "t",
  topicId: "id",
  partition: 0,
  leader: 1,
  leaderEpoch: 0,
  controllerEpoch: 1,
  replicas: [1],
  isr: [1],
};

const KEY = { key: "k", hash: "h", fingerprint: "f" };
const textOf = (value: Uint8Array | null): string => new TextDecoder().decode(value ?? new Uint8Array());
const batch = (...values: string[]): Uint8Array =>
  encodeRecordBatch(
    values.map((value, i) => ({ key: null, value: encodeText(value), headers: [], timestampMs: 1000 + i })),
  );

/** Four chunks with the records r0 to r7, two each; the second one holds two batches. */
async function partition() {
  number += 1;
  const name = `damage/id/${number}`;
  const stub = () => env.TOPIC_PARTITION.get(env.TOPIC_PARTITION.idFromName(name));
  expect(await stub().leaderAndIsr(LEADERSHIP)).toMatchObject({ ok: true });
  const two = new Uint8Array([...batch("r2"), ...batch("r3")]);
  for (const batches of [batch("r0", "r1"), two, batch("r4", "r5"), batch("r6", "r7")]) {
    expect(await stub().append({ leaderEpoch: 0, batches })).toMatchObject({ ok: true });
  }
  expect(await stub().append({ leaderEpoch: 0, batches: batch("r8"), key: KEY })).toMatchObject({ ok: true });
  return stub;
}

type Stub = Awaited<ReturnType<typeof partition>>;

/** Changes what is stored while nobody has it in memory. */
async function damage(stub: Stub, change: (sql: SqlStorage) => void): Promise<void> {
  await runInDurableObject(stub(), (_object, { storage }) => change(storage.sql));
  await evictDurableObject(stub());
}

/** Inverts a byte of the batches of a chunk. @param at from the end where it is negative */
function flip(sql: SqlStorage, base: number, at: number): void {
  const data = new Uint8Array(
    sql.exec("SELECT data FROM chunk WHERE base = ?", base).one().data as ArrayBuffer,
  );
  const index = at < 0 ? data.length + at : at;
  data[index] = ~(data[index] ?? 0);
  sql.exec("UPDATE chunk SET data = ? WHERE base = ?", data, base);
}

const readAt = (stub: Stub, offset: number) =>
  stub().read({ from: { type: "offset", offset }, bytesMax: 1 << 20, waitMs: 0, leaderEpoch: -1 });

/** What a reader gets that passes damage as its resume offset says: values, and the offsets that it had to leave out. */
async function readAll(stub: Stub): Promise<{ values: string[]; damaged: number[] }> {
  const values: string[] = [];
  const damaged: number[] = [];
  for (let next = 0; next < 9; ) {
    const answer = await readAt(stub, next);
    if (answer.ok) {
      const records = decodeBatches(answer.batches, next);
      for (const record of records) values.push(textOf(record.value));
      next = records.at(-1)?.offset ?? Number.NaN;
      next += 1;
      continue;
    }
    expect(answer).toMatchObject({ code: "CORRUPT_MESSAGE", damage: { from: next } });
    const end = answer.damage?.next ?? 0;
    expect(end).toBeGreaterThan(next);
    for (; next < end; next++) damaged.push(next);
  }
  return { values, damaged };
}

const without = (...damaged: number[]) => ({
  values: Array.from({ length: 9 }, (_, i) => `r${i}`).filter((_, i) => !damaged.includes(i)),
  damaged,
});

const CASES: Readonly<Record<string, readonly [(sql: SqlStorage) => void, readonly number[]]>> = {
  "the last byte of a batch is another": [(sql) => flip(sql, 0, -1), [0, 1]],
  "a byte of the first of two batches is another": [(sql) => flip(sql, 2, 65), [2]],
  "a byte of the second of two batches is another": [(sql) => flip(sql, 2, -1), [3]],
  "the length of the first of two batches is another": [(sql) => flip(sql, 2, 11), [2]],
  "the base offset in a batch is another": [(sql) => flip(sql, 4, 7), [4, 5]],
  "the CRC of a batch is another": [(sql) => flip(sql, 4, 18), [4, 5]],
  "the magic of a batch is another": [(sql) => flip(sql, 4, 16), [4, 5]],
  "the batches are cut short": [
    (sql) => sql.exec("UPDATE chunk SET data = substr(data, 1, 50) WHERE base = 2"),
    [2, 3],
  ],
  "the batches are cut short in the second": [
    (sql) => sql.exec("UPDATE chunk SET data = substr(data, 1, 130) WHERE base = 2"),
    [3],
  ],
  "the batches are text": [(sql) => sql.exec("UPDATE chunk SET data = 'text' WHERE base = 2"), [2, 3]],
  "a row in the middle is missing": [(sql) => sql.exec("DELETE FROM chunk WHERE base = 2"), [2, 3]],
  "the first row is missing": [(sql) => sql.exec("DELETE FROM chunk WHERE base = 0"), [0, 1]],
  "the last row is missing": [(sql) => sql.exec("DELETE FROM chunk WHERE base = 8"), [8]],
  "all rows are missing": [(sql) => sql.exec("DELETE FROM chunk"), [0, 1, 2, 3, 4, 5, 6, 7, 8]],
  "the table is missing": [(sql) => sql.exec("DROP TABLE chunk"), [0, 1, 2, 3, 4, 5, 6, 7, 8]],
  "two rows have each other's offsets": [
    (sql) => {
      for (const [from, to] of [
        [0, 100],
        [4, 0],
        [100, 4],
      ])
        sql.exec("UPDATE chunk SET base = ? WHERE base = ?", to, from);
    },
    [0, 1, 4, 5],
  ],
  "two rows have each other's batches": [
    (sql) => {
      const data = (base: number) => sql.exec("SELECT data FROM chunk WHERE base = ?", base).one().data;
      const [a, b] = [data(0), data(4)];
      sql.exec("UPDATE chunk SET data = ? WHERE base = 0", b);
      sql.exec("UPDATE chunk SET data = ? WHERE base = 4", a);
    },
    [0, 1, 4, 5],
  ],
  "a row has another last offset": [(sql) => sql.exec("UPDATE chunk SET last = 7 WHERE base = 2"), []],
  "a row has no last offset": [(sql) => sql.exec("UPDATE chunk SET last = 'x' WHERE base = 2"), []],
  "the last row has another last offset": [
    (sql) => sql.exec("UPDATE chunk SET last = 70 WHERE base = 8"),
    [],
  ],
  "a row is counted wrong": [(sql) => sql.exec("UPDATE chunk SET records = 7 WHERE base = 2"), []],
  "a row has another checksum": [(sql) => sql.exec("UPDATE chunk SET crc = 7 WHERE base = 2"), []],
  "a row lies at an offset of another": [
    (sql) => sql.exec("UPDATE chunk SET base = 5 WHERE base = 2"),
    [2, 3],
  ],
  "a row lies far behind the end": [(sql) => sql.exec("UPDATE chunk SET base = 5000 WHERE base = 2"), [2, 3]],
};

describe("a damaged chunk", () => {
  for (const [what, [change, damaged]] of Object.entries(CASES)) {
    test(`[PARTITION-30] loses the records that it covers, and no others, when ${what}`, async () => {
      const stub = await partition();
      await damage(stub, change);
      expect(await readAll(stub)).toEqual(without(...damaged));
      // Offsets that were given are never given again.
      const appended = await stub().append({ leaderEpoch: 0, batches: batch("more") });
      expect(appended).toMatchObject({ ok: true });
      expect(appended.ok && appended.baseOffset).toBeGreaterThanOrEqual(9);
      const after = appended.ok ? await readAt(stub, appended.baseOffset) : undefined;
      expect(after?.ok && decodeBatches(after.batches, 0).map(({ value }) => textOf(value))).toContain(
        "more",
      );
    });
  }

  test("[PARTITION-30] a key stored with the last rows shows their offsets", async () => {
    const stub = await partition();
    await damage(stub, (sql) => sql.exec("DELETE FROM chunk WHERE base >= 6"));
    expect(await readAll(stub)).toEqual(without(6, 7, 8));
  });

  test("[PARTITION-35] the end of the log is stored after a while, so that missing newest rows are detected", async () => {
    const stub = await partition();
    expect(await stub().append({ leaderEpoch: 0, batches: batch("r9") })).toMatchObject({ baseOffset: 9 });
    for (let noted = 0; noted < 10; ) {
      noted = await runInDurableObject(stub(), (_object, { storage: { sql } }) => {
        const row = sql.exec("SELECT value FROM meta WHERE key = 'end'").toArray()[0];
        return Number(row?.value ?? 0);
      });
      await scheduler.wait(20);
    }
    await damage(stub, (sql) => sql.exec("DELETE FROM chunk WHERE base >= 8"));
    expect(await readAt(stub, 8)).toMatchObject({ code: "CORRUPT_MESSAGE", damage: { from: 8, next: 10 } });
    expect(await stub().append({ leaderEpoch: 0, batches: batch("more") })).toMatchObject({ baseOffset: 10 });
  });

  test("[PARTITION-31] ends a tail with the position of the damage, and a tail after it continues", async () => {
    const stub = await partition();
    await damage(stub, (sql) => flip(sql, 2, -1));
    const tail = (offset: number) =>
      stub().fetch(`http://partition/tail?offset=${offset}`, { headers: { Upgrade: "websocket" } });
    const refused = await tail(3);
    expect([refused.status, await refused.json()]).toEqual([
      409,
      expect.objectContaining({ code: "CORRUPT_MESSAGE", damage: { from: 3, next: 4 } }),
    ]);
    const frames = async (offset: number): Promise<number> => {
      const socket = (await tail(offset)).webSocket;
      if (socket === null) throw new Error("there is no socket");
      let next = offset;
      await new Promise<void>((resolve) => {
        socket.addEventListener("message", ({ data }) => {
          next = decodeTailFrame(new Uint8Array(data as ArrayBuffer)).nextOffset;
          if (next === 9) resolve();
          else socket.send("next");
        });
        socket.addEventListener("close", () => resolve());
        socket.binaryType = "arraybuffer";
        socket.accept();
      });
      socket.close(1000);
      return next;
    };
    expect(await frames(0)).toBe(3);
    expect(await frames(4)).toBe(9);
  });

  test("[PARTITION-30] is not the result of a search by time", async () => {
    const stub = await partition();
    await damage(stub, (sql) => {
      for (const base of [0, 2, 4, 6, 8]) flip(sql, base, -1);
    });
    expect(await stub().offsetOfTime({ timestampMs: 1000, leaderEpoch: -1 })).toMatchObject({
      ok: false,
      code: "CORRUPT_MESSAGE",
    });
    await damage(stub, (sql) => sql.exec("UPDATE chunk SET timestamp_max = 7"));
    expect(await stub().offsetOfTime({ timestampMs: 1000, leaderEpoch: -1 })).toMatchObject({
      ok: false,
      code: "KAFKA_STORAGE_ERROR",
    });
  });
});

describe("rows of a partition beside its records", () => {
  test("[PARTITION-32] are stored twice if the controller does not send them again", async () => {
    for (const key of ["leadership", "leadership_copy"]) {
      for (const change of ["UPDATE meta SET value = '{}' WHERE key = ?", "DELETE FROM meta WHERE key = ?"]) {
        const stub = await partition();
        await damage(stub, (sql) => sql.exec(change, key));
        expect(await readAll(stub)).toEqual(without());
        expect(await stub().append({ leaderEpoch: 0, batches: batch("more") })).toMatchObject({
          baseOffset: 9,
        });
      }
    }
  });

  test("[PARTITION-32] are reported as damaged if both copies are, until the controller sends them again", async () => {
    for (const change of ["UPDATE meta SET value = 'x'", "DELETE FROM meta", "DROP TABLE meta"]) {
      const stub = await partition();
      await damage(stub, (sql) => sql.exec(change));
      const refused = { ok: false, code: "KAFKA_STORAGE_ERROR", message: expect.stringContaining("damaged") };
      expect(await readAt(stub, 0)).toEqual(refused);
      expect(await stub().append({ leaderEpoch: 0, batches: batch("more") })).toEqual(refused);
      expect(await stub().status()).toEqual(refused);
      expect(await stub().leaderAndIsr({ ...LEADERSHIP, leaderEpoch: 1 })).toMatchObject({ logEndOffset: 9 });
      expect(await readAll(stub)).toEqual(without());
      expect(await stub().append({ leaderEpoch: 1, batches: batch("more") })).toMatchObject({
        baseOffset: 9,
      });
    }
  });

  test("[PARTITION-37] that cannot be read are named in the answer to every call, also where faults are on", async () => {
    expect(env.FAULTS).toBe("on");
    const stub = await partition();
    await damage(stub, (sql) => {
      sql.exec("DROP TABLE meta");
      sql.exec("CREATE TABLE meta (x TEXT)");
    });
    const refused = {
      ok: false,
      code: "KAFKA_STORAGE_ERROR",
      message: expect.stringContaining("cannot be read"),
    };
    expect(await readAt(stub, 0)).toEqual(refused);
    expect(await stub().append({ leaderEpoch: 0, batches: batch("more") })).toEqual(refused);
    expect(await stub().status()).toEqual(refused);
    expect(await stub().leaderAndIsr({ ...LEADERSHIP, leaderEpoch: 1 })).toEqual(refused);
  });

  test("[PARTITION-33] a damaged idempotency key is not used: only its request fails", async () => {
    for (const change of [
      "hash = 'x'",
      "base = 3",
      "last = 3",
      "at_ms = 7",
      "fingerprint = 'x'",
      "base = 'x'",
    ]) {
      const stub = await partition();
      await damage(stub, (sql) => sql.exec(`UPDATE idempotency_key SET ${change}`));
      const [again, other] = await Promise.all([
        stub().append({ leaderEpoch: 0, batches: batch("r8"), key: KEY }),
        stub().append({ leaderEpoch: 0, batches: batch("r9"), key: { ...KEY, key: "other" } }),
      ]);
      expect(again).toMatchObject({ ok: false, code: "KAFKA_STORAGE_ERROR" });
      expect(other).toMatchObject({ ok: true, baseOffset: 9 });
      expect(await stub().claim({ key: KEY, leaderEpoch: -1 })).toMatchObject({
        code: "KAFKA_STORAGE_ERROR",
      });
    }
  });

  test("[PARTITION-34] rows of an earlier version have no checksum, and are accepted", async () => {
    const stub = await partition();
    await damage(stub, (sql) => {
      sql.exec("DELETE FROM meta WHERE key = 'leadership_copy'");
      for (const table of ["meta", "epoch", "idempotency_key", "chunk"])
        sql.exec(`ALTER TABLE ${table} DROP COLUMN crc`);
    });
    expect(await readAll(stub)).toEqual(without());
    expect(await stub().append({ leaderEpoch: 0, batches: batch("r8"), key: KEY })).toMatchObject({
      baseOffset: 8,
      replayed: true,
    });
    expect(await stub().append({ leaderEpoch: 0, batches: batch("r9") })).toMatchObject({ baseOffset: 9 });
    expect(await stub().status()).toMatchObject({ epochs: [{ leaderEpoch: 0, startOffset: 0 }] });
    await damage(stub, (sql) => flip(sql, 4, -1));
    const { values, damaged } = await readAll(stub);
    expect([values.length, damaged]).toEqual([8, [4, 5]]);
  });
});

describe("a partition of a later version", () => {
  test("[VER-7] is refused with a reason and left unchanged", async () => {
    const stub = await partition();
    const rows = async (): Promise<unknown> => {
      let found: unknown;
      await runInDurableObject(stub(), (_object, { storage }) => {
        found = storage.sql.exec("SELECT key, value FROM meta ORDER BY key").toArray();
      });
      return found;
    };
    await damage(stub, (sql) =>
      sql.exec("UPDATE meta SET value = '2', crc = ? WHERE key = 'schema'", rowChecksum(["schema", "2"])),
    );
    const before = await rows();
    const words = "its storage is of schema 2, and this version reads schemas up to 1";
    expect(await stub().append({ leaderEpoch: 0, batches: batch("r9") })).toMatchObject({
      ok: false,
      message: expect.stringContaining(words),
    });
    expect(await stub().leaderAndIsr({ ...LEADERSHIP, leaderEpoch: 1 })).toMatchObject({ ok: false });
    expect(await rows()).toEqual(before);
  });
});
