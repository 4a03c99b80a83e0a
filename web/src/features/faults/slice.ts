/** The faults' part of the store: written by the fault poll, by the event feed and by keys. */
import { FAULTS_UNKNOWN, type Faults } from "./faults-known.ts";

/** A key that breaks something and has been pressed once. */
export interface Armed {
  readonly key: string;
  /** What it will do, e.g. "kill node 2". */
  readonly what: string;
  readonly run: () => void;
}

/** Active faults, and the key that would make another. */
export interface FaultsSlice {
  readonly faults: Faults;
  readonly armed: Armed | null;
}

/** The slice before the first answer. */
export const faultsSlice = (): FaultsSlice => ({ faults: FAULTS_UNKNOWN, armed: null });

/** Whether a fault can be injected now: faults are switched on, and the API answers. */
export const canBreak = (live: FaultsSlice & { readonly problem: Error | null }): boolean =>
  live.faults.state === "on" && live.problem === null;
