/**
 * Every crash point of the scenarios below: once per effect of every member, before and after it, and with the writes that
 * are not durable lost, kept, or partly kept. After each the ensemble must recover with every acknowledged write.
 */
import type { ServerEffect } from "../core/server/effects.ts";
import type { Token } from "../core/server/ids.ts";
import { Cluster } from "./cluster.ts";
import type { CrashOrder } from "./member/life.ts";
import { allEqual, create, digests, ok } from "./world.ts";

const TICK_MS = 200;
/** Groups of writes that survive: none, the first, all. */
const KEEPS = [0, 1, 1_000] as const;

/** A run that any member may crash at any time: it waits for no particular member. */
interface Scenario {
  readonly name: string;
  readonly config?: Readonly<Record<string, number>>;
  play(stage: Stage): void;
}

/** The ensemble of one run, and the requests sent to it. */
class Stage {
  readonly cluster: Cluster;
  readonly #asked: { readonly token: Token; readonly path: string }[] = [];

  constructor(config: Readonly<Record<string, number>>) {
    this.cluster = new Cluster({
      size: 3,
      seed: 1,
      tracing: false,
      latencyMs: [1, 2],
      fsyncMs: [2, 4],
      config: { tickTimeMs: TICK_MS, requestTimeoutMs: 2_000, ...config },
    });
  }

  begin(): void {
    this.cluster.startAll();
    this.run(400);
  }

  /** Sends some writes to every member that is up. */
  write(name: string, count: number): void {
    for (let i = 0; i < count; i++) {
      const { members } = this.cluster;
      const { sid, life } = members[i % members.length] ?? {};
      if (sid === undefined || life == null) continue;
      const path = `/${name}${i}`;
      this.#asked.push({ token: this.cluster.write(sid, create(path)), path });
      this.run(2);
    }
    this.run(40);
  }

  run(ms: number): void {
    this.cluster.runFor(ms);
  }

  /** The leader, or the follower with the lowest sid. */
  who(role: "leader" | "follower"): number {
    const leader = this.cluster.leader?.sid ?? 3;
    return role === "leader" ? leader : leader === 1 ? 2 : 1;
  }

  crash(sid: number): void {
    if (this.cluster.member(sid).life !== null) this.cluster.crash(sid);
  }

  start(sid: number): void {
    if (this.cluster.member(sid).life === null) this.cluster.start(sid);
  }

  /** Checks that all members recover and agree, with every acknowledged write. @returns the number of acknowledged writes */
  end(): number {
    const { cluster } = this;
    cluster.onEffect = null;
    cluster.heal();
    cluster.startAll();
    cluster.settle();
    const acked = this.#asked.filter(({ token }) => ok(cluster.answers.get(token)));
    for (const { path } of acked) {
      for (const { sid, tree } of cluster.alive) {
        if (tree.get(path) === undefined) throw new Error(`${path} was acknowledged, but ${sid} lacks it`);
      }
    }
    if (!allEqual(digests(cluster))) throw new Error("the members differ");
    return acked.length;
  }
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "founding and writes",
    play(stage) {
      stage.begin();
      stage.write("a", 9);
    },
  },
  {
    name: "the leader dies and comes back",
    play(stage) {
      stage.begin();
      stage.write("a", 3);
      const leader = stage.who("leader");
      stage.crash(leader);
      stage.run(300);
      stage.write("b", 4);
      stage.start(leader);
      stage.run(300);
      stage.write("c", 3);
    },
  },
  {
    name: "a follower comes back by TRUNC",
    play(stage) {
      stage.begin();
      stage.write("a", 3);
      const leader = stage.who("leader");
      for (const { sid } of stage.cluster.members) if (sid !== leader) stage.cluster.cut(leader, sid);
      stage.write("lost", 3);
      stage.crash(leader);
      stage.cluster.heal();
      stage.run(600);
      stage.write("b", 3);
      stage.start(leader);
      stage.run(400);
      stage.write("c", 2);
    },
  },
  {
    name: "a follower comes back by SNAP",
    config: { logRetainTxns: 0, checkpointChangesMax: 3, snapChunkBytesMax: 200 },
    play(stage) {
      stage.begin();
      const follower = stage.who("follower");
      stage.crash(follower);
      stage.run(100);
      stage.write("a", 8);
      stage.start(follower);
      stage.run(400);
      stage.write("b", 3);
    },
  },
  {
    name: "all die and come back",
    play(stage) {
      stage.begin();
      stage.write("a", 5);
      for (const { sid } of stage.cluster.members) stage.crash(sid);
      stage.cluster.startAll();
      stage.run(500);
      stage.write("b", 3);
    },
  },
  {
    name: "asleep and awake",
    config: { quietAfterMs: 4 * TICK_MS },
    play(stage) {
      stage.begin();
      stage.write("a", 3);
      stage.run(3_000);
      stage.write("b", 3);
    },
  },
];

/** Result of a sweep over all crash points. */
export interface CrashPoints {
  /** crashes that were carried out */
  readonly points: number;
  /** *map role and phase of the member, and effect → number of crashes there* */
  readonly byKind: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
}

const isPoint = (effect: ServerEffect): boolean =>
  effect.type === "persist" || effect.type === "send" || effect.type === "reply";

/** Runs the sweep. @param every runs only one of this many crash points */
export function runCrashPoints(every = 1): CrashPoints {
  const byKind: Record<string, number> = {};
  const failures: string[] = [];
  let points = 0;
  for (const scenario of SCENARIOS) {
    for (let at = 1; ; at += every) {
      let reached = false;
      for (const when of ["before", "after"] as const) {
        for (const keep of KEEPS) {
          const kind = playOnce(scenario, at, { when, keep }, failures);
          if (kind === undefined) continue;
          reached = true;
          points += 1;
          byKind[kind] = (byKind[kind] ?? 0) + 1;
        }
      }
      if (!reached) break;
    }
  }
  return { points, byKind, failures };
}

/** @returns the effect at which the member crashed; undefined if there are fewer effects than `at` */
function playOnce(scenario: Scenario, at: number, order: CrashOrder, failures: string[]): string | undefined {
  const stage = new Stage(scenario.config ?? {});
  const { cluster } = stage;
  let left = at;
  let kind: string | undefined;
  cluster.onEffect = (sid, effect) => {
    if (!isPoint(effect)) return undefined;
    left -= 1;
    if (left > 0) return undefined;
    cluster.onEffect = null;
    const { zab } = cluster.server(sid);
    kind = `${zab.role}/${zab.phase} ${effect.type}`;
    cluster.after(250, () => {
      if (cluster.member(sid).life === null) cluster.start(sid);
    });
    return order;
  };
  try {
    scenario.play(stage);
    stage.end();
  } catch (error) {
    const where = `${scenario.name}: ${order.when} effect ${at} (${kind}), ${order.keep} writes kept`;
    failures.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return kind;
}
