/** The rows of a broker in memory: the same contract as SQLite's, for the simulator and the tests. */
import type { BrokerBackend, RawRecord } from "../../core/broker/broker-records.ts";

/** A {@link BrokerBackend} whose state is a map. */
export class MemoryBroker implements BrokerBackend {
  readonly #rows: Map<string, RawRecord>;

  constructor(rows: ReadonlyMap<string, RawRecord> = new Map()) {
    this.#rows = new Map(rows);
  }

  /** A copy of everything: the content of a disk at this moment. */
  clone(): MemoryBroker {
    return new MemoryBroker(this.#rows);
  }

  /** Changes a row without its checksum, or removes it: damage. @param change undefined: the row is removed */
  tamper(key: string, change: Partial<RawRecord> | undefined): void {
    const row = this.#rows.get(key);
    if (change === undefined) this.#rows.delete(key);
    else this.#rows.set(key, { value: undefined, crc: null, ...row, ...change });
  }

  read(key: string): RawRecord | undefined {
    return this.#rows.get(key);
  }

  write(key: string, value: string, crc: number): void {
    this.#rows.set(key, { value, crc });
  }
}
