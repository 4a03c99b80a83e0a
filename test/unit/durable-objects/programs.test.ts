import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BROKER_CONFIG } from "../../../core/broker/config.ts";
import { EnsembleSession } from "../../../core/broker/ensemble-session.ts";
import { PeerWatch } from "../../../core/broker/peer-watch.ts";
import { perform } from "../../../core/broker/program.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { Programs, type ProgramsPorts } from "../../../durable-objects/broker/programs.ts";
import type { BrokerRpc } from "../../../durable-objects/broker/rpc.ts";
import { RootEvents } from "../../../durable-objects/shared/root-events.ts";
import type { TopicPartitionRpc } from "../../../durable-objects/topic-partition/rpc.ts";
import type { ZooWeeperNodeRpc } from "../../../durable-objects/zooweeper-node/rpc.ts";

/** Session of this broker, and that of the broker which it watches. */
const OWN = 7 as SessionId;
const WATCHED = 42 as SessionId;
/** How late the alarm of the watcher is, ms: more than a probe may take. */
const LATE_MS = BROKER_CONFIG.probeTimeoutMs * 3;

const noop = (): void => {};
const never = <T>(): Promise<T> => new Promise(noop);

/** Ports of broker 0, which calls nothing. */
const portsOf = (session: EnsembleSession, roots: RootEvents): ProgramsPorts => ({
  id: 0,
  config: BROKER_CONFIG,
  session,
  opener: roots,
  connectNode: () => expect.unreachable("no node is called"),
  connectBroker: () => expect.unreachable("no broker is called"),
  connectPartition: () => expect.unreachable("no partition is called"),
  isAskedByPartition: () => false,
  storeSession: noop,
  onSleep: noop,
  onWake: noop,
  onStep: noop,
  onFailure: (error) => expect.unreachable(String(error)),
});

/** Watches a broker whose first parked call breaks. @returns the sessions that were closed, and the probes */
function watching(status: () => Promise<{ readonly session: SessionId | null }>) {
  const seen = { parks: 0, probes: [] as (number | undefined)[], closed: [] as SessionId[] };
  const roots: RootEvents = new RootEvents(() => setTimeout(() => void roots.run(0, noop), LATE_MS), 0);
  const session = new EnsembleSession(3, 1, BROKER_CONFIG);
  session.resume(OWN, 1);
  const node: Pick<ZooWeeperNodeRpc, "closeSession"> = {
    closeSession: async (closed) => {
      seen.closed.push(closed);
      return { ok: true, zxid: "0x0", value: null };
    },
  };
  const broker = {
    park: async () => {
      seen.parks += 1;
      if (seen.parks === 1) throw new Error("the call broke");
      return never();
    },
    status: (depth?: number) => {
      seen.probes.push(depth);
      return status();
    },
  };
  const programs = new Programs({
    ...portsOf(session, roots),
    connectNode: () => node as ZooWeeperNodeRpc,
    connectBroker: () => broker as unknown as BrokerRpc,
  });
  const watch = new PeerWatch(session, BROKER_CONFIG);
  const watched = { id: 1, session: WATCHED, brokerEpoch: "0x1", host: "localhost", port: 1, timestampMs: 0 };
  for (const program of watch.watch([watched])) programs.start(program);
  return seen;
}

describe("a broker whose own alarm is late", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("[BROKER-67] closes no session of a broker that lives", async () => {
    const seen = watching(async () => ({ session: WATCHED }));
    await vi.advanceTimersByTimeAsync(LATE_MS * 4);
    expect(seen).toEqual({ parks: 2, probes: [0], closed: [] });
  });

  it("[BROKER-67] closes the session of one that has another, and of one that does not answer", async () => {
    for (const status of [async () => ({ session: null }), () => never<{ session: null }>()]) {
      const seen = watching(status);
      await vi.advanceTimersByTimeAsync(LATE_MS * 5);
      expect(seen).toMatchObject({ parks: 1, closed: [WATCHED] });
    }
  });
});

describe("a broker that calls partitions", () => {
  it("[BROKER-68] waits for a root event while a partition calls it, and not otherwise", async () => {
    const roots = new RootEvents(noop, 0);
    let isAsked = true;
    const called: number[] = [];
    const bounds = { ok: true, leaderEpoch: 0, logStartOffset: 0, logEndOffset: 0 } as const;
    const programs = new Programs({
      ...portsOf(new EnsembleSession(3, 1, BROKER_CONFIG), roots),
      isAskedByPartition: () => isAsked,
      connectPartition: (_, partition) => {
        called.push(partition);
        return { bounds: async () => bounds } as unknown as TopicPartitionRpc;
      },
    });
    const call = (partition: number) =>
      programs.run(
        perform({
          type: "partitions",
          calls: [{ name: "bounds", topicId: "id", partition }],
          timeoutMs: BROKER_CONFIG.attemptTimeoutMs,
        }),
      );
    roots.called(4);
    const first = call(0);
    expect(called).toEqual([]);
    expect(await roots.run(0, () => first)).toEqual([bounds]);
    isAsked = false;
    roots.called(1);
    expect(await call(1)).toEqual([bounds]);
    expect(called).toEqual([0, 1]);
  });
});
