/** Number of clients of a node. */
import type { FaultGate } from "../shared/fault-gate.ts";
import type { Lifecycle } from "./lifecycle.ts";

/**
 * Counts the sockets of clients and long polls, and reports every change to the core, which falls asleep without clients.
 * Invariant: the core knows *count*; *count ≥ 0*.
 * @source decision 0011
 */
export class ClientCount {
  readonly #lifecycle: Lifecycle;
  readonly #faults: FaultGate;
  #count = 0;

  constructor(lifecycle: Lifecycle, faults: FaultGate) {
    this.#lifecycle = lifecycle;
    this.#faults = faults;
  }

  /** Counts a client that connected (1) or disconnected (−1). */
  change(by: 1 | -1): void {
    this.#count += by;
    this.#lifecycle.current?.server.setClients(this.#faults.now(), this.#count);
  }
}
