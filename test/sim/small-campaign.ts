/**
 * One random run of an ensemble, determined by a seed: faults, requests of clients, crashes. The invariants are
 * checked after every event; at the end everything is healed, and the ensemble has to make progress and agree.
 */
import { assert, must } from "../../core/assert.ts";
import { random } from "../../core/prng.ts";
import type { Token } from "../../core/server/ids.ts";
import {
  CreateMode,
  makeSessionId,
  NO_SESSION,
  type SessionId,
  type WriteRequest,
} from "../../core/znode/types.ts";
import { Cluster } from "../../sim/cluster.ts";
import { create, ok } from "./world.ts";

/** What a run did: an idle run proves nothing. */
export interface CampaignResult {
  readonly cluster: Cluster;
  readonly asked: number;
  readonly acked: number;
  readonly committed: number;
  readonly crashes: number;
  readonly epochs: number;
  readonly checks: number;
  readonly events: number;
  readonly syncs: Readonly<Record<string, number>>;
  /** from the end of the last fault until everybody agrees; virtual ms */
  readonly healedMs: number;
}

/** A client with a session: numbers its writes, and asks again when it does not know what became of one. */
interface Client {
  readonly session: SessionId;
  xid: number;
  last: { readonly token: Token; readonly request: WriteRequest; readonly xid: number } | null;
}

/** @param quietAfterMs not 0: the ensemble may sleep, and now and then nobody asks anything for long enough */
export function runCampaign(seed: number, steps = 40, quietAfterMs = 0): CampaignResult {
  const next = random(seed * 7919 + 1);
  const below = (n: number): number => Math.floor(next() * n);
  const oneOf = <T>(items: readonly T[]): T =>
    must(items[below(items.length)], "there is something to choose");
  const size = oneOf([1, 3, 3, 3, 3, 5, 5]);
  const slow = below(4) === 0;
  const cluster = new Cluster({
    size,
    seed,
    latencyMs: slow ? [1, 30] : [1, 3],
    fsyncMs: slow ? [0, 20] : [0, 3],
    config: {
      tickTimeMs: 100,
      quietAfterMs,
      logRetainTxns: oneOf([0, 3, 20, 200]),
      checkpointChangesMax: oneOf([1, 4, 15, 1000]),
      batchesInFlightMax: oneOf([1, 2, 4]),
      learnerInFlightMax: oneOf([1, 2, 4]),
      snapChunkBytesMax: oneOf([150, 600, 4096]),
      batchBytesMax: oneOf([200, 1000, 262_144]),
      counterMax: oneOf([12, 40, 100_000, 100_000]),
      requestTimeoutMs: 3000,
      queueLengthMax: oneOf([8, 65_536, 65_536]),
    },
  });
  const { faults } = cluster;
  if (below(3) === 0) faults.loseReturn = 0.02;
  if (below(3) === 0) faults.failCall = 0.02;
  if (below(3) === 0) faults.alarmLateMs = 80;
  if (below(3) === 0) faults.spuriousTick = 0.3;
  const mayCrash = below(5) > 0;
  const mayCut = below(2) === 0;
  const mayPause = below(3) === 0;
  const mayWipe = below(4) === 0;
  const down = new Set<number>();
  const paused = new Set<number>();
  const clients: Client[] = [];
  const writes: { readonly token: Token; readonly path: string; readonly session: SessionId }[] = [];
  let crashes = 0;
  let names = 0;

  const up = (): number[] =>
    cluster.members.flatMap(({ sid, life }) => (life === null || paused.has(sid) ? [] : [sid]));
  const crash = (sid: number): void => {
    crashes += 1;
    cluster.crash(sid, below(4));
  };
  /** The member crashes at one of its next effects, whichever that is. */
  const crashSoon = (): void => {
    let left = below(30);
    const type = oneOf(["persist", "send", "any"]);
    cluster.onEffect = (sid, effect) => {
      if (type !== "any" && effect.type !== type) return undefined;
      left -= 1;
      if (left > 0) return undefined;
      cluster.onEffect = null;
      crashes += 1;
      down.add(sid);
      return { when: oneOf(["before", "after"] as const), keep: below(3) };
    };
  };
  const writeSome = (): void => {
    const at = up();
    if (at.length === 0) return;
    const sid = oneOf(at);
    const requests = Array.from({ length: 1 + below(6) }, () => {
      names += 1;
      const sequential = below(5) === 0 ? CreateMode.PERSISTENT_SEQUENTIAL : CreateMode.PERSISTENT;
      return { request: create(`/n${names}-`, sequential, below(60)) };
    });
    for (const [i, token] of cluster.writes(sid, requests).entries()) {
      const request = requests[i]?.request;
      if (request?.type === "create" && request.mode === CreateMode.PERSISTENT) {
        writes.push({ token, path: request.path, session: NO_SESSION });
      }
    }
  };
  const sessionStep = (): void => {
    const at = up();
    if (at.length === 0) return;
    const sid = oneOf(at);
    if (clients.length < 3) {
      const session = makeSessionId(sid, clients.length + 1 + seed * 16);
      clients.push({ session, xid: 0, last: null });
      cluster.write(sid, { type: "createSession", timeoutMs: 60_000 }, session);
      return;
    }
    const client = oneOf(clients);
    // What was not answered is asked again, anywhere; else the next one is sent.
    if (client.last !== null && !cluster.answers.get(client.last.token)?.ok && below(2) === 0) {
      const { request, xid } = client.last;
      client.last = { token: cluster.write(sid, request, client.session, xid), request, xid };
      return;
    }
    client.xid += 1;
    names += 1;
    const path = `/s${names}-`;
    const request = create(path, oneOf([CreateMode.PERSISTENT, CreateMode.EPHEMERAL]), below(20));
    const token = cluster.write(sid, request, client.session, client.xid);
    client.last = { token, request, xid: client.xid };
    if (request.type === "create" && request.mode === CreateMode.PERSISTENT) {
      writes.push({ token, path, session: client.session });
    }
  };
  const readSome = (): void => {
    const at = up();
    if (at.length === 0) return;
    const request = { type: "exists", path: "/", watch: false } as const;
    cluster.read(oneOf(at), request, below(3) > 0);
  };
  const faultStep = (): void => {
    const kind = below(8);
    const sid = 1 + below(size);
    if (mayCrash && kind <= 1 && cluster.member(sid).life !== null) {
      crash(sid);
      down.add(sid);
      paused.delete(sid);
    } else if (mayCrash && kind === 2) crashSoon();
    else if (mayCrash && kind === 3 && below(6) === 0) {
      for (const each of up()) {
        crash(each);
        down.add(each);
      }
    } else if (mayCut && kind === 4) cluster.isolate(sid);
    else if (mayCut && kind === 5) cluster.cut(sid, 1 + below(size));
    else if (mayPause && kind === 6 && cluster.member(sid).life !== null) {
      cluster.pause(sid);
      paused.add(sid);
    } else if (mayWipe && kind === 7 && size > 1 && down.size === 0 && cluster.settled && !paused.size) {
      // Only where nothing hangs on it: a voter that forgets a promise is more than a quorum system can bear.
      crash(sid);
      cluster.disks.wipe(sid);
      cluster.start(sid);
    }
  };
  const repair = (): void => {
    if (below(2) === 0) cluster.heal();
    for (const sid of [...down]) {
      if (below(2) === 0) continue;
      down.delete(sid);
      if (cluster.member(sid).life === null) cluster.start(sid);
    }
    for (const sid of [...paused]) {
      if (below(2) === 0) continue;
      paused.delete(sid);
      if (cluster.member(sid).life !== null) cluster.resume(sid);
    }
  };

  cluster.startAll();
  if (below(4) > 0) cluster.runFor(200);
  for (let step = 0; step < steps; step++) {
    const action = below(10);
    if (action < 4) writeSome();
    else if (action < 6) sessionStep();
    else if (action < 7) readSome();
    else if (action < 9) faultStep();
    else repair();
    cluster.runFor(oneOf([0, 1, 3, 10, 60, 300]));
    if (quietAfterMs > 0 && step % 4 === 3) cluster.runFor(quietAfterMs + 3 * below(200));
  }

  cluster.onEffect = null;
  Object.assign(faults, { loseReturn: 0, failCall: 0, alarmLateMs: 0, spuriousTick: 0 });
  cluster.heal();
  for (const sid of paused) if (cluster.member(sid).life !== null) cluster.resume(sid);
  cluster.startAll();
  const healedAt = cluster.now;
  cluster.settle();
  const healedMs = cluster.now - healedAt;
  for (const { sid } of cluster.members) {
    let works = false;
    // A member whose log keeps next to nothing may have to be brought up once more.
    for (let attempt = 0; attempt < 3 && !works; attempt++) {
      cluster.runFor(500);
      works = ok(cluster.answered([cluster.write(sid, create(`/end${sid}-${attempt}`))])[0]);
    }
    assert(works, `the ensemble works again at ${sid} (seed ${seed})`);
  }
  cluster.runFor(4000);
  cluster.settle();
  const acked = check(cluster, writes);

  const syncs: Record<string, number> = {};
  for (const { event } of cluster.trace) {
    if (event.type === "sync") syncs[event.mode] = (syncs[event.mode] ?? 0) + 1;
  }
  return {
    cluster,
    asked: writes.length,
    acked,
    committed: cluster.invariants.history.length,
    crashes,
    epochs: cluster.leader?.zab.currentEpoch ?? 0,
    checks: [...cluster.invariants.checks.values()].reduce((sum, n) => sum + n, 0),
    events: cluster.events,
    syncs,
    healedMs,
  };
}

/** What every member must show once all is quiet. */
function check(
  cluster: Cluster,
  writes: readonly { readonly token: Token; readonly path: string }[],
): number {
  const { seed } = cluster;
  let acked = 0;
  for (const { token, path } of writes) {
    if (!ok(cluster.answers.get(token))) continue;
    acked += 1;
    for (const { sid, tree } of cluster.alive) {
      assert(tree.get(path) !== undefined, `${path} was acknowledged, but ${sid} lacks it (seed ${seed})`);
    }
  }
  for (const { sid, tree, pendingCount } of cluster.alive) {
    assert(pendingCount === 0, `${sid} leaves nobody without an answer (seed ${seed})`);
    for (const node of tree.znodes()) {
      const owned = node.ephemeralOwner === NO_SESSION || tree.sessions.has(node.ephemeralOwner);
      assert(owned, `${node.path} outlives its session at ${sid} (seed ${seed})`);
    }
  }
  return acked;
}
