/** The page in a browser, as `npm start` serves it: what a visitor sees while goals come in and nodes die. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/local/build.ts";
import { type Goal, goalOf, sendGoal } from "../../scripts/local/goals.ts";
import { post } from "./http.ts";
import { deployment, startPage, temporaryDir, until } from "./processes.ts";

/** Pictures change with every run; those of the documentation are renewed with UPDATE_PICTURES=1. */
const IMAGES = join(ROOT, process.env.UPDATE_PICTURES === undefined ? "dist/img" : "docs/img");
const WAIT_MS = 90_000;
/** Pause of the producer between goals: a visitor sees them come one by one. */
const GOAL_PAUSE_MS = 40;

/** The page as a telephone and a reader at night see it. */
const LOOKS = {
  narrow: { viewport: { width: 360, height: 740 }, colorScheme: "light" },
  dark: { viewport: { width: 1360, height: 900 }, colorScheme: "dark" },
} as const;

const state = temporaryDir();
let browser: Browser;

beforeAll(async () => {
  mkdirSync(IMAGES, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
    ],
  });
});

afterAll(async () => {
  await browser?.close();
  state.remove();
});

/** Posts goals one after the other, each until it is answered OK, until it is stopped. */
function produce(base: string, first = 0): { readonly acknowledged: readonly Goal[]; stop(): Promise<void> } {
  const acknowledged: Goal[] = [];
  let stopped = false;
  const run = (async () => {
    const id = crypto.randomUUID();
    for (let i = first; !stopped; i++) {
      const options = { key: `${id}-${i}`, clients: "9090,9091,9092", receiver: "8080", retryMs: WAIT_MS };
      const { status, text } = await sendGoal(base, goalOf(i), options);
      if (status !== 200) throw new Error(`goal ${i} was answered ${status}: ${text}`);
      acknowledged.push(goalOf(i));
      await new Promise((resolve) => setTimeout(resolve, GOAL_PAUSE_MS));
    }
  })();
  run.catch(() => {}); // told by stop()
  return {
    acknowledged,
    stop() {
      stopped = true;
      return run;
    },
  };
}

const testId = (page: Page, id: string): Locator => page.getByTestId(id);
const attribute = (page: Page, id: string, name: string): Promise<string | null> =>
  testId(page, id).getAttribute(name, { timeout: WAIT_MS });

/** The goals as the list shows them, top to bottom. */
function rowsOf(page: Page): Promise<{ offset: number; minute: number; player: string }[]> {
  return testId(page, "goal-row").evaluateAll((rows) =>
    rows.map((row) => {
      const text = (selector: string) =>
        (row as unknown as { querySelector(s: string): { textContent: string } }).querySelector(selector)
          .textContent;
      const { offset } = (row as unknown as { dataset: { offset: string } }).dataset;
      return {
        offset: Number(offset),
        minute: Number.parseInt(text(".goal-minute"), 10),
        player: text(".goal-player"),
      };
    }),
  );
}

/** Waits until the page shows exactly these goals, in order, each once. */
async function expectGoals(page: Page, goals: readonly Goal[]): Promise<void> {
  await until(
    () => testId(page, "goal-row").count(),
    (count) => count >= goals.length,
    "goals are missing",
  );
  expect(await rowsOf(page)).toEqual(
    goals.map(({ Minute, Player }, offset) => ({ offset, minute: Minute, player: Player })),
  );
}

const leaderOf = async (page: Page): Promise<number> => Number(await attribute(page, "leader", "data-sid"));
const untilLeader = (page: Page, holds: (sid: number) => boolean): Promise<number> =>
  until(
    () => leaderOf(page),
    (sid) => sid > 0 && holds(sid),
    "no such leader is shown",
  );
const AXE = readFileSync(join(ROOT, "node_modules/axe-core/axe.min.js"), "utf8");

/** Names, roles, contrast: what a machine can tell of WCAG. */
async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const violations = await page.evaluate(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))",
  );
  expect(violations).toEqual([]);
}

const picture = (page: Page, name: string): Promise<unknown> =>
  page.screenshot({ path: join(IMAGES, `${name}.png`), animations: "disabled" });

describe("npm start", () => {
  it("shows goals in order while the leader dies, is replaced and comes back", async () => {
    const local = await startPage(["--console-port", "0", "--fresh", "--state", join(state.path, "start")]);
    const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(local.url);
    const first = await untilLeader(page, () => true);
    const producer = produce(`${local.url}/api/demo/brokers/0`);

    await until(
      () => testId(page, "goal-row").count(),
      (count) => count >= 12,
      "no goals are shown",
    );
    await picture(page, "timeline");

    await testId(page, `kill-node-${first}`).click();
    const second = await untilLeader(page, (sid) => sid !== first);
    expect(await attribute(page, `node-${first}`, "data-up")).toBe("false");
    expect(await attribute(page, `node-${second}`, "data-role")).toBe("LEADING");
    const atCrowning = producer.acknowledged.length;
    await until(
      () => testId(page, "goal-row").count(),
      (n) => n >= atCrowning + 10,
      "goals do not go on",
    );
    await picture(page, "leader-killed");

    await testId(page, `revive-node-${first}`).click();
    await until(
      () => attribute(page, `node-${first}`, "data-up"),
      (up) => up === "true",
      "no revival is shown",
    );
    await until(
      () => Promise.resolve(producer.acknowledged.length),
      (n) => n >= atCrowning + 20,
      "goals stop",
    );
    await producer.stop();
    const zxids = (): Promise<(string | null)[]> =>
      Promise.all([1, 2, 3].map((sid) => attribute(page, `zxid-${sid}`, "data-zxid")));
    await until(zxids, (all) => all[0] !== "" && new Set(all).size === 1, "the revived node stays behind");
    expect(await leaderOf(page)).toBe(second);
    await picture(page, "revived");

    await expectGoals(page, producer.acknowledged);

    // a node that stands still, by keyboard: the others take it for dead, and it goes on
    const idle = ([1, 2, 3].find((sid) => sid !== second && sid !== first) ?? 0) as number;
    expect(await attribute(page, `pause-node-${idle}`, "title")).toMatch(/stands still with its memory/);
    await testId(page, `pause-node-${idle}`).focus();
    await page.keyboard.press("Enter");
    await testId(page, `resume-node-${idle}`).waitFor({ timeout: WAIT_MS });
    await until(
      () => attribute(page, `node-${idle}`, "data-up"),
      (up) => up === "false",
      "it is not missed",
    );
    await testId(page, `resume-node-${idle}`).click();
    await testId(page, `pause-node-${idle}`).waitFor({ timeout: WAIT_MS });

    // the leader cut off: another is crowned, and nobody hears the old one until it is reconnected
    await testId(page, `isolate-node-${second}`).click();
    const third = await untilLeader(page, (sid) => sid !== second);
    const look = (sid: number) => attribute(page, `node-${sid}`, "data-look");
    await until(
      () => look(second),
      (seen) => seen === "cut",
      "no cut is shown",
    );
    expect(await attribute(page, `node-${second}`, "data-up")).toBe("true");
    await picture(page, "cut-off");
    await expectAccessible(page);
    await testId(page, `reconnect-node-${second}`).click();
    await until(
      () => look(second),
      (seen) => seen === "follower",
      "it does not come back",
    );
    expect(await leaderOf(page)).toBe(third);

    // two of three dead: the page says why nothing moves, and heals it by one click
    for (const sid of [1, 2]) await testId(page, `kill-node-${sid}`).click();
    const reason = await testId(page, "no-quorum-reason").textContent({ timeout: WAIT_MS });
    expect(reason).toMatch(/2/);
    await picture(page, "no-quorum");
    await testId(page, "heal-all").click();
    await untilLeader(page, () => true);

    expect(errors).toEqual([]);
    await page.close();

    for (const [name, look] of Object.entries(LOOKS)) {
      const other = await browser.newPage(look);
      await other.goto(local.url);
      await untilLeader(other, () => true);
      await expectGoals(other, producer.acknowledged);
      const width = await other.evaluate("document.documentElement.scrollWidth");
      expect(width, `${name} scrolls sideways`).toBeLessThanOrEqual(look.viewport.width);
      await picture(other, name);
      await expectAccessible(other);
      await other.close();
    }
    await local.end("SIGTERM");
  });
});

describe("a client that ends and comes back", () => {
  it("resumes without loss or duplicate", async () => {
    const running = await deployment([
      ...["3", "3", "1", "--fresh", "--state", join(state.path, "client")],
      ...["--node-port", "0", "--broker-port", "0", "--client-port", "0"],
    ]);
    const { api, brokers, clients } = running.urls;
    const page = await browser.newPage();
    await page.goto(clients[0] ?? "");
    await untilLeader(page, () => true);
    const producer = produce(brokers[0] ?? "");
    for (let cut = 0; cut < 2; cut++) {
      const shown = await testId(page, "goal-row").count();
      await until(
        () => testId(page, "goal-row").count(),
        (n) => n >= shown + 5,
        "no goals are shown",
      );
      await post(`${api}/v1/faults/clients/0/end`);
      const before = producer.acknowledged.length;
      await until(
        () => Promise.resolve(producer.acknowledged.length),
        (n) => n >= before + 10,
        "goals stop",
      );
      await post(`${api}/v1/faults/clients/0/start`);
    }
    await producer.stop();
    await expectGoals(page, producer.acknowledged);
    await page.close();
    await running.end("SIGTERM");
  });
});
