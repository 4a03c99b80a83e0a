/** Nodes whose database file is damaged: the API says which node is down and why, and a wipe brings it back. */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
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
      expect((await wipe()).status).toBe(200);
      expect(await ensemble.whole(WHOLE_MS)).toBe(true);
      expect(await ensemble.settled(WHOLE_MS)).toBeUndefined();
      await ensemble.stop();
      const after = must(nodeDatabases(ensemble.objectsDir).get(VICTIM), "the node has a database");
      expect(inDatabase(after, (each) => each.prepare("PRAGMA integrity_check").get())).toEqual({
        integrity_check: "ok",
      });
    },
  );

  it("[NODE-50] says why, and which file to delete: a file that is no database", async () => {
    const path = must(nodeDatabases(ensemble.objectsDir).get(VICTIM), "the node has a database");
    overwrite(path, 0, 100);
    await ensemble.start(false);
    const reason = await reasonOfVictim();
    const file = must(/objects\/\S+\.sqlite/.exec(reason)?.[0], "the reason names the file");
    expect(path.endsWith(file.replace("objects/", ""))).toBe(true);
    const answer = await wipe();
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining(file)]);
    await ensemble.stop();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    await ensemble.start(false);
    expect(await ensemble.whole(WHOLE_MS)).toBe(true);
    expect(await ensemble.settled(WHOLE_MS)).toBeUndefined();
  });
});
