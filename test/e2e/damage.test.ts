/** Nodes with a damaged database file: the API reports which node is down and why, and a wipe restores it. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { must } from "../../core/assert.ts";
import { build } from "../../scripts/local/build.ts";
import { inDatabase, nodeDatabases } from "../nemesis/databases.ts";
import { RealEnsemble } from "../nemesis/ensemble.ts";
import { temporaryDir } from "./processes.ts";

const PAGE_BYTES = 4096;
const VICTIM = 2;
const WHOLE_MS = 60_000;

const dir = temporaryDir();
let ensemble: RealEnsemble;

beforeEach(async () => {
  await build();
  ensemble = new RealEnsemble(3, join(dir.path, "state"));
  await ensemble.start(true);
  expect(await ensemble.whole(WHOLE_MS)).toBe(true);
  for (let i = 0; i < 40; i++) {
    const response = await fetch(`${ensemble.api}/v1/znodes/n${i}`, {
      method: "POST",
      body: "x".repeat(3_000),
    });
    expect(response.status).toBe(201);
  }
  expect(await ensemble.settled(WHOLE_MS)).toBeUndefined();
  await ensemble.stop();
});

afterEach(async () => {
  await ensemble.stop();
  dir.remove();
});

function overwrite(path: string, from: number, bytes: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, from);
  closeSync(file);
}

/** What the API says of the victim, once it says why it is down. */
async function reasonOfVictim(): Promise<string> {
  for (;;) {
    const node = (await ensemble.view().catch(() => undefined))?.nodes[VICTIM - 1];
    if (node?.reason !== undefined && !node.up) return node.reason;
  }
}

const wipe = (): Promise<Response> =>
  fetch(`${ensemble.api}/v1/faults/nodes/${VICTIM}/wipe`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });

describe("a node whose database is damaged", () => {
  it.each(["meta", "txn_log", "znode_0"])(
    "[NODE-50] says why, and a wipe brings it back: no page of %s can be read",
    async (table) => {
      const path = must(nodeDatabases(ensemble.objectsDir).get(VICTIM), "the node has a database");
      const root = inDatabase(path, (each) =>
        each.prepare("SELECT rootpage FROM sqlite_master WHERE name = ?").get(table),
      );
      overwrite(path, (Number(must(root, "the table is there").rootpage) - 1) * PAGE_BYTES, PAGE_BYTES);
      await ensemble.start(false);
      const reason = await reasonOfVictim();
      expect(reason).toContain("malformed");
      expect(reason).toContain(`/v1/faults/nodes/${VICTIM}/wipe`);
      const answer = await wipe();
      expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
      expect(await ensemble.whole(WHOLE_MS)).toBe(true);
      expect(await ensemble.settled(WHOLE_MS)).toBeUndefined();
      await ensemble.stop();
      const after = must(nodeDatabases(ensemble.objectsDir).get(VICTIM), "the node has a database");
      expect(inDatabase(after, (each) => each.prepare("PRAGMA integrity_check").get())).toEqual({
        integrity_check: "ok",
      });
    },
  );

  it("[NODE-50] reports why, and which file to delete: a file that is no database", async () => {
    const path = must(nodeDatabases(ensemble.objectsDir).get(VICTIM), "the node has a database");
    overwrite(path, 0, 100);
    await ensemble.start(false);
    const reason = await reasonOfVictim();
    const file = must(/\S+\.sqlite/.exec(reason)?.[0], "the reason names the file");
    expect(file).toBe(path);
    const log = readFileSync(join(dir.path, "state", "runtime.log"), "utf8");
    const entries = log.split("\n").filter((line) => line.includes('"event":"damage"'));
    expect(entries.filter((line) => line.includes(`"node":"default/${VICTIM}"`))).toHaveLength(1);
    const answer = await wipe();
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining(file)]);
    await ensemble.stop();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    await ensemble.start(false);
    expect(await ensemble.whole(WHOLE_MS)).toBe(true);
    expect(await ensemble.settled(WHOLE_MS)).toBeUndefined();
  });
});

describe("a majority whose storage is damaged", () => {
  const pathOf = (sid: number): string =>
    must(nodeDatabases(ensemble.objectsDir).get(sid), "the node has a database");
  const count = (path: string, table: string): number =>
    Number(inDatabase(path, (each) => each.prepare(`SELECT count(*) AS n FROM ${table}`).get())?.n);
  const wipeOf = (sid: number): Promise<Response> =>
    fetch(`${ensemble.api}/v1/faults/nodes/${sid}/wipe`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });

  it.each([{ victims: [1, 2] }, { victims: [1, 2, 3] }])(
    "[ZAB-150] [NODE-52] is named, elects nobody, and keeps its rows: nodes $victims",
    async ({ victims }) => {
      const rows = victims.map((sid) => count(pathOf(sid), "txn_log"));
      for (const sid of victims) {
        inDatabase(pathOf(sid), (each) =>
          each.exec("UPDATE meta SET value = '7' WHERE key = 'currentEpoch'"),
        );
      }
      for (let starts = 0; starts < 2; starts++) {
        await ensemble.start(false);
        const written = await fetch(`${ensemble.api}/v1/znodes/after`, { method: "POST", body: "x" });
        expect(written.status).toBe(503);
        const view = await ensemble.view();
        expect([view.hasQuorum, view.leader]).toEqual([false, null]);
        expect(view.reason).toContain("When a majority is damaged");
        for (const { sid, damage, quarantined } of view.nodes) {
          const isVictim = victims.includes(sid);
          expect([sid, damage?.includes("currentEpoch"), quarantined]).toEqual(
            isVictim ? [sid, true, true] : [sid, undefined, undefined],
          );
          if (isVictim) expect(view.reason).toContain(`node ${sid}: meta value currentEpoch`);
        }
        expect((await wipeOf(1)).status).toBe(409);
        await ensemble.stop();
        for (const [i, sid] of victims.entries()) {
          expect(count(pathOf(sid), "quarantine_txn_log")).toBe(rows[i]);
          expect(count(pathOf(sid), "quarantine_meta")).toBeGreaterThan(0);
        }
      }
    },
  );

  it("[NODE-52] is not wiped without force, also where no database of it can be read", async () => {
    const paths = [1, 2].map(pathOf);
    for (const path of paths) {
      const root = inDatabase(path, (each) =>
        each.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'meta'").get(),
      );
      overwrite(path, (Number(must(root, "the table is there").rootpage) - 1) * PAGE_BYTES, PAGE_BYTES);
    }
    await ensemble.start(false);
    for (;;) {
      const { reason, nodes } = await ensemble.view();
      if (reason?.includes("When a majority is damaged") !== true) continue;
      for (const node of nodes) expect(node.reason ?? "").not.toContain("wipe");
      break;
    }
    const answer = await wipeOf(1);
    expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining("force")]);
  });

  it("[ZAB-150] a minority discards its rows once a quorum has confirmed their replacement", async () => {
    inDatabase(pathOf(VICTIM), (each) => each.exec("UPDATE meta SET value = '7' WHERE key = 'currentEpoch'"));
    await ensemble.start(false);
    expect(await ensemble.whole(WHOLE_MS)).toBe(true);
    expect(await ensemble.settled(WHOLE_MS)).toBeUndefined();
    for (;;) {
      const node = (await ensemble.view()).nodes[VICTIM - 1];
      if (node?.quarantined === undefined) break;
    }
    await ensemble.stop();
    const tables = inDatabase(pathOf(VICTIM), (each) =>
      each.prepare("SELECT name FROM sqlite_master WHERE name LIKE 'quarantine%'").all(),
    );
    expect(tables).toEqual([]);
  });
});
