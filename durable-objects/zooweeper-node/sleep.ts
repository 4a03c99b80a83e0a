/** A node whose ensemble sleeps (decision 0011): what it releases, and what it knows about the sleep after a loss of memory. */
import type { ParkedSession } from "../../core/server/ids.ts";
import type { QuietRecord } from "../../core/server/quiet.ts";
import type { SessionId } from "../../core/znode/types.ts";
import type { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import type { RootEvents } from "../shared/root-events.ts";
import { NO_RETRIES } from "../shared/stub-options.ts";
import type { NodeEnv } from "./config.ts";
import type { Incarnation } from "./incarnation.ts";
import { type Lifecycle, messageOf } from "./lifecycle.ts";
import type { PeerCalls } from "./peer-calls.ts";
import type { Requests } from "./requests.ts";
import type { SqliteBackend } from "./sqlite-backend.ts";
import type { StatusReport } from "./status.ts";
import type { Waits } from "./waits.ts";

/** An object of this system whose session sleeps with the ensemble. `wake` returns the session that it has. */
interface OwnerStub {
  wake(epoch: number, depth: number): Promise<SessionId | null>;
}

/** The parts of the node that keep the object in memory, or report its state. */
export interface SleepPorts {
  readonly env: NodeEnv;
  readonly backend: SqliteBackend;
  readonly alarm: DeadlineAlarm;
  readonly faults: FaultGate;
  readonly roots: RootEvents;
  readonly lifecycle: Lifecycle;
  readonly requests: Requests;
  readonly waits: Waits;
  readonly peers: PeerCalls;
  readonly status: StatusReport;
}

/**
 * The node's part in the sleep of its ensemble.
 * Invariant: a sleeping node has no open call and no alarm but the one for the next session expiry, so the platform may evict it.
 * @source decision 0011
 */
export class Sleep {
  readonly #ports: SleepPorts;

  constructor(ports: SleepPorts) {
    this.#ports = ports;
  }

  /** The stored record of the sleep, if the node has lost its memory and not been started since. */
  get onDisk(): QuietRecord | undefined {
    const { lifecycle, backend } = this.#ports;
    if (lifecycle.current !== undefined || lifecycle.hasBegun) return undefined;
    let damaged = false;
    const { quiet, currentEpoch } = backend.readMeta(() => {
      damaged = true;
    });
    if (damaged) return undefined;
    const record = quiet === null ? null : (JSON.parse(quiet) as QuietRecord);
    return record?.epoch === currentEpoch ? record : undefined;
  }

  /** Whether the ensemble sleeps, as far as this node knows. */
  get isAsleep(): boolean {
    const { current } = this.#ports.lifecycle;
    return current === undefined ? this.onDisk !== undefined : current.server.asleepSince !== null;
  }

  /** When the alarm of a node that has not started is due, ms since 1970; infinite: never. */
  get idleDeadline(): number {
    const { lifecycle, faults } = this.#ports;
    if (lifecycle.identity === undefined) return Number.POSITIVE_INFINITY;
    if (faults.killed) return faults.nextEnd;
    if (lifecycle.stoppedUntil !== undefined) return lifecycle.stoppedUntil;
    return (this.onDisk?.wakeAtMs ?? Number.POSITIVE_INFINITY) - faults.skewMs;
  }

  /** Releases everything that keeps the object in memory, when the ensemble falls asleep. */
  begin(incarnation: Incarnation): void {
    const { status, alarm, faults, roots, peers, waits } = this.#ports;
    status.store(incarnation);
    alarm.only(incarnation.server.deadline - faults.skewMs);
    // callers that wait for a stub must continue, and end
    roots.ring();
    for (const link of incarnation.links.values()) link.release();
    peers.release();
    waits.endOwners();
  }

  /**
   * Wakes the owner of a session. If the owner is dead or has another session, this session is closed at once; if it does
   * not answer, the session keeps its full timeout.
   */
  async wakeOwner(incarnation: Incarnation, { session, owner }: ParkedSession): Promise<void> {
    const { BROKER } = this.#ports.env;
    if (BROKER === undefined) return;
    const name = `${incarnation.config.ensemble}/${owner}`;
    const depth = await this.#ports.roots.next();
    const stub = BROKER.get(BROKER.idFromName(name), NO_RETRIES) as unknown as OwnerStub;
    try {
      const held = await stub.wake(incarnation.server.zab.currentEpoch, depth);
      this.#settle(incarnation, session, held === session);
    } catch (error) {
      if (messageOf(error).includes("BROKER_DOWN")) this.#settle(incarnation, session, false);
    }
  }

  #settle(incarnation: Incarnation, session: SessionId, isAlive: boolean): void {
    const { lifecycle, requests } = this.#ports;
    if (lifecycle.current !== incarnation) return;
    if (isAlive) requests.touch(incarnation, session, true);
    else void requests.submitClose(incarnation, session);
  }
}
