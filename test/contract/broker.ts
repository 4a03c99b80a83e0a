/**
 * What every {@link BrokerBackend} must do, and what a broker makes of its rows. One suite for all: memory in the simulator,
 * SQLite in an object. It needs nothing but `describe`, `it` and `expect`, so that it runs in Node and in workerd.
 */
import { describe, expect, it } from "vitest";
import { type BrokerBackend, type BrokerIdentity, BrokerRecords } from "../../core/broker/broker-records.ts";
import { valueChecksum } from "../../core/wire/value-checksum.ts";
import { makeSessionId } from "../../core/znode/types.ts";

/**
 * Gives `body` an empty storage. Each call of `open` opens the same storage as an object that starts would: what was written
 * before is there. `damage` changes a row and leaves its checksum as it is; undefined removes the row.
 */
export type MakeBrokerBackend = (
  body: (
    open: () => BrokerBackend,
    damage: (
      key: string,
      change: { readonly value?: string; readonly crc?: number | null } | undefined,
    ) => void,
  ) => void,
) => void | Promise<void>;

const IDENTITY: BrokerIdentity = { ensemble: "e", id: 2, ensembleSize: 3, brokerCount: 4 };
const SESSION = makeSessionId(3, 7);

const records = (backend: BrokerBackend): BrokerRecords<{ readonly id: number }> =>
  new BrokerRecords(backend, "e/2");

export function brokerContract(name: string, makeBackend: MakeBrokerBackend): void {
  describe(`a broker's rows: ${name}`, () => {
    it("[BROKER-51] nothing is stored before it is started", async () => {
      await makeBackend((open) => {
        const { identity, session, sleeping, refusal } = records(open());
        expect([identity, session, sleeping, refusal]).toEqual([undefined, undefined, undefined, undefined]);
        expect(open().read("identity")).toBeUndefined();
      });
    });

    it("[BROKER-51] rows are there at the next start", async () => {
      await makeBackend((open) => {
        const first = records(open());
        first.identify(IDENTITY);
        first.session = SESSION;
        first.setText("faults", "[]");
        first.sleeping = { session: SESSION, xid: 9, status: { id: 2 } };
        expect([first.nextBoot(), records(open()).nextBoot()]).toEqual([1, 2]);
        const second = records(open());
        expect(second.identity).toEqual(IDENTITY);
        expect(second.session).toBe(SESSION);
        expect(second.text("faults")).toBe("[]");
        expect(second.sleeping).toEqual({ session: SESSION, xid: 9, status: { id: 2 } });
        second.sleeping = undefined;
        expect(records(open()).sleeping).toBeUndefined();
      });
    });

    it("[BROKER-50] a damaged row counts as missing; the identity survives the damage of one copy", async () => {
      await makeBackend((open, damage) => {
        const first = records(open());
        first.identify(IDENTITY);
        first.session = SESSION;
        first.nextBoot();
        damage("identity", { value: JSON.stringify({ ...IDENTITY, id: 1 }) });
        damage("session", { value: "5" });
        damage("boot", { value: "x" });
        const second = records(open());
        expect(second.identity).toEqual(IDENTITY);
        expect(second.session).toBeUndefined();
        expect(second.nextBoot()).toBe(1);
        damage("identity_copy", undefined);
        expect(records(open()).identity).toBeUndefined();
        records(open()).identify(IDENTITY);
        expect(records(open()).identity).toEqual(IDENTITY);
      });
    });

    it("[BROKER-50] rows without a checksum are believed, unless they name another broker", async () => {
      await makeBackend((open, damage) => {
        records(open()).identify(IDENTITY);
        damage("identity", { value: JSON.stringify({ ...IDENTITY, id: 1 }), crc: null });
        damage("identity_copy", { crc: null });
        expect(records(open()).identity).toEqual(IDENTITY);
        // it is written again, with a checksum
        records(open()).identify(IDENTITY);
        for (const key of ["identity", "identity_copy"]) {
          const text = JSON.stringify(IDENTITY);
          expect(open().read(key)).toEqual({ value: text, crc: valueChecksum(key, text) });
        }
      });
    });

    it("[VER-7] rows without a schema are of schema 1; a later one is refused with words", async () => {
      await makeBackend((open, damage) => {
        records(open()).identify(IDENTITY);
        expect(open().read("schema")?.value).toBe("1");
        damage("schema", undefined);
        expect(records(open()).refusal).toBeUndefined();
        open().write("schema", "2", valueChecksum("schema", "2"));
        expect(records(open()).refusal).toMatch(
          /^its storage is of schema 2, and this version reads .* up to 1/,
        );
      });
    });
  });
}
