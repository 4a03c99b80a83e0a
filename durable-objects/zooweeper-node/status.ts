/** The status that a node reports. */
import { hashToText } from "../../core/hash/chain.ts";
import { zxidToText } from "../../core/zab/zxid.ts";
import type { CostCounter, Counters } from "../shared/counters.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import type { RootEvents } from "../shared/root-events.ts";
import type { Incarnation } from "./incarnation.ts";
import type { NodeStatus } from "./rpc.ts";
import type { SqliteBackend } from "./sqlite-backend.ts";

/**
 * The status of the incarnation in memory, and the last one before the ensemble fell asleep.
 * Invariant: asking for either neither starts the member nor wakes the ensemble.
 * @source the command `monitor` of ZooKeeper's AdminServer
 */
export class StatusReport {
  readonly #backend: SqliteBackend;
  readonly #faults: FaultGate;
  readonly #cost: CostCounter;
  readonly #roots: RootEvents;

  constructor(backend: SqliteBackend, faults: FaultGate, cost: CostCounter, roots: RootEvents) {
    this.#backend = backend;
    this.#faults = faults;
    this.#cost = cost;
    this.#roots = roots;
  }

  /** The status now. */
  of(incarnation: Incarnation): NodeStatus {
    const now = this.#statusOf(incarnation);
    const { damage } = incarnation;
    return damage === undefined ? now : { ...now, damage, reason: reasonOfDamage(damage) };
  }

  /** The status when the ensemble last fell asleep; undefined if it never did. */
  get last(): NodeStatus | undefined {
    const text = this.#backend.value("lastStatus");
    return text === undefined ? undefined : (JSON.parse(text) as NodeStatus);
  }

  /** Stores the status and the counters, when the ensemble falls asleep. */
  store(incarnation: Incarnation): void {
    this.#backend.setValue("counters", JSON.stringify(this.#counters));
    this.#backend.setValue("lastStatus", JSON.stringify(this.#statusOf(incarnation)));
  }

  get #counters(): Counters {
    return this.#cost.total(this.#backend.rows);
  }

  #statusOf(incarnation: Incarnation): NodeStatus {
    const { server, config, storage, feed } = incarnation;
    const { zab, tree } = server;
    const now = this.#faults.now();
    return {
      ...config,
      role: zab.role,
      phase: zab.phase,
      leader: zab.leader,
      acceptedEpoch: zab.acceptedEpoch,
      currentEpoch: zab.currentEpoch,
      lastZxid: zxidToText(zab.lastLogged.zxid),
      committedZxid: zxidToText(zab.lastCommittedZxid),
      appliedZxid: zxidToText(tree.lastApplied),
      digest: hashToText({ high: tree.digestHigh, low: tree.digestLow }),
      activeSet: [...zab.activeSet],
      boot: zab.boot,
      version: zab.version,
      lastEvent: feed.lastId,
      sessions: tree.sessions.size,
      znodes: tree.size,
      watches: server.watches.count,
      elections: zab.elections,
      serving: server.ready,
      ...(server.ready || zab.reason === "" ? {} : { reason: zab.reason }),
      ...(storage.isQuarantined && { quarantined: true as const }),
      quiet: server.asleepSince !== null,
      quietSince: server.asleepSince,
      counters: this.#counters,
      callDepth: this.#roots.depthMax,
      pings: [...zab.links].map(([sid, link]) => ({
        sid,
        version: link.version === 0 ? null : link.version,
        ...(server.refused.has(sid) && { refused: server.refused.get(sid) as string }),
        rttMs: link.rttMs,
        heardMsAgo: link.heardAt === null ? null : now - link.heardAt,
        role: link.role,
      })),
    };
  }
}

const reasonOfDamage = (damage: string): string =>
  `its storage was damaged (${damage}): it set its state aside, and counts in no quorum until it has synchronised`;
