import { describe, expect, it } from "vitest";
import type { ServerAnswer } from "../../../core/server/effects.ts";
import { CreateMode, type WriteRequest } from "../../../core/znode/types.ts";
import { Cluster } from "../../sim/cluster.ts";

const bytes = (text: string): Uint8Array => new Uint8Array([...text].map((c) => c.charCodeAt(0)));
const create = (path: string, data = ""): WriteRequest => ({
  type: "create",
  path,
  data: bytes(data),
  mode: CreateMode.PERSISTENT,
  withStat: false,
});
const ok = (answer: ServerAnswer | undefined): boolean =>
  answer?.ok === true && answer.result.type !== "error";

describe("an ensemble", () => {
  for (const size of [1, 3, 5]) {
    it(`[ZAB-1] of ${size} founds itself, elects one leader and takes writes at every node`, () => {
      const cluster = new Cluster({ size });
      cluster.startAll();
      cluster.settle();
      const tokens = cluster.members.map(({ sid }) => cluster.write(sid, create(`/n${sid}`)));
      expect(cluster.answered(tokens).every(ok)).toBe(true);
      cluster.settle();
      const digests = new Set(cluster.alive.map((s) => `${s.tree.digestHigh}:${s.tree.digestLow}`));
      expect(digests.size).toBe(1);
      for (const server of cluster.alive) expect(server.tree.children("/")?.length).toBe(size + 1);
    });
  }

  it("[ZAB-2] heals after the crash of its leader and loses nothing", () => {
    const cluster = new Cluster({ size: 3 });
    cluster.startAll();
    cluster.settle();
    const first = cluster.leader?.sid ?? 0;
    const before = Array.from({ length: 20 }, (_, i) => cluster.write((i % 3) + 1, create(`/a${i}`)));
    cluster.answered(before);
    cluster.crash(first);
    const at = cluster.now;
    const other = (first % 3) + 1;
    const token = cluster.write(other, create("/after"));
    expect(cluster.answered([token]).every(ok)).toBe(true);
    expect(cluster.now - at).toBeLessThan(300);
    cluster.start(first);
    cluster.settle();
    expect(cluster.server(first).tree.get("/after")).toBeDefined();
    expect(cluster.server(first).tree.size).toBe(cluster.server(other).tree.size);
  });

  for (let seed = 1; seed <= 40; seed++) {
    it(`[ZAB-3] survives crashes at random, seed ${seed}`, () => {
      const size = seed % 2 === 0 ? 3 : 5;
      const cluster = new Cluster({ size, seed, config: { logRetainTxns: 20, checkpointChangesMax: 15 } });
      cluster.startAll();
      cluster.settle();
      const tokens: { token: ReturnType<Cluster["write"]>; path: string }[] = [];
      let down: number | null = null;
      for (let round = 0; round < 30; round++) {
        const victim = ((seed * 7 + round * 3) % size) + 1;
        if (down === null && round % 3 === 0) {
          cluster.crash(victim);
          down = victim;
        } else if (down !== null && round % 3 === 2) {
          cluster.start(down);
          down = null;
        }
        for (let i = 0; i < 10; i++) {
          const sid = ((round + i) % size) + 1;
          if (sid === down) continue;
          const path = `/r${round}-${i}`;
          tokens.push({ token: cluster.write(sid, create(path, "x".repeat(i))), path });
        }
        cluster.runFor(20 + ((seed * round) % 200));
      }
      if (down !== null) cluster.start(down);
      cluster.settle();
      const acked = tokens.filter(({ token }) => ok(cluster.answers.get(token)));
      expect(acked.length).toBeGreaterThan(tokens.length / 2);
      for (const server of cluster.alive) {
        for (const { path } of acked) expect(server.tree.get(path), path).toBeDefined();
      }
      const digests = new Set(cluster.alive.map((s) => `${s.tree.digestHigh}:${s.tree.digestLow}`));
      expect(digests.size).toBe(1);
    });
  }
});
