/** The page in a browser, as served by `npm start`: what a visitor sees while goals arrive and nodes fail. */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../core/assert.ts";
import { ROOT } from "../../scripts/local/build.ts";
import { type Goal, goalOf, sendGoal } from "../../scripts/local/goals.ts";
import { nodeDatabases } from "../nemesis/databases.ts";
import { getJson, post } from "./http.ts";
import { deployment, startPage, temporaryDir, until } from "./processes.ts";

/** Pictures change with every run; those of the documentation are renewed with UPDATE_PICTURES=1. */
const IMAGES = join(ROOT, "dist/img");
const DOCUMENTED: readonly string[] =
  process.env.UPDATE_PICTURES === undefined ? [] : ["dark", "election", "cut-off", "faults", "no-quorum"];
const WAIT_MS = 90_000;
/** Pause of the producer between goals: a visitor sees them come one by one. */
const GOAL_PAUSE_MS = 40;
const RECORDS_OF_ONE_POST = 500;

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

interface Row {
  readonly offset: number;
  readonly minute: number;
  readonly player: string;
}

/** Scrolls through the whole list of goals, top to bottom, and reads every row that it meets. */
const ALL_ROWS = `(async () => {
  const list = document.querySelector('[data-testid="goal-list"]');
  const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const rows = new Map();
  for (let top = 0; ; top += list.clientHeight / 2) {
    list.scrollTop = top;
    do await drawn();
    while (list.querySelector('[data-testid="goal-unread"]'));
    for (const row of list.querySelectorAll('[data-testid="goal-row"]'))
      rows.set(Number(row.dataset.offset), {
        offset: Number(row.dataset.offset),
        minute: Number.parseInt(row.querySelector(".goal-minute").textContent, 10),
        player: row.querySelector(".goal-player").textContent,
      });
    if (top + list.clientHeight >= list.scrollHeight) break;
  }
  return [...rows.values()];
})()`;

/** Offset of the last goal in sight; -1: none is. */
const lastOffset = (page: Page): Promise<number> =>
  page.evaluate(
    `Math.max(-1, ...[...document.querySelectorAll('[data-testid="goal-row"]')].map((row) => Number(row.dataset.offset)))`,
  );

/** Waits until the page shows exactly these goals, in order, each once. */
async function expectGoals(page: Page, goals: readonly Goal[]): Promise<void> {
  await until(
    () => lastOffset(page),
    (last) => last >= goals.length - 1,
    "goals are missing",
  );
  expect((await page.evaluate(ALL_ROWS)) as Row[]).toEqual(
    goals.map(({ Minute, Player }, offset) => ({ offset, minute: Minute, player: Player })),
  );
}

/** Waits until the page shows what follows the goal at `offset`. */
const untilOffset = (page: Page, offset: number): Promise<number> =>
  until(
    () => lastOffset(page),
    (last) => last >= offset,
    "no goals are shown",
  );

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
  page.screenshot({
    path: join(DOCUMENTED.includes(name) ? join(ROOT, "docs/img") : IMAGES, `${name}.png`),
    animations: "disabled",
  });

describe("npm start", () => {
  it("[PAGE-10] [PAGE-12] [PAGE-13] shows goals in order while the leader dies, is replaced and returns", async () => {
    const local = await startPage(["--console-port", "0", "--fresh", "--state", join(state.path, "start")]);
    const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(local.url);
    const first = await untilLeader(page, () => true);
    const producer = produce(`${local.url}/api/demo/brokers/0`);

    await untilOffset(page, 11);
    await picture(page, "timeline");
    await expectPolls(page);

    await testId(page, `kill-node-${first}`).click();
    const second = await untilLeader(page, (sid) => sid !== first);
    expect(await attribute(page, `node-${first}`, "data-up")).toBe("false");
    expect(await attribute(page, `node-${second}`, "data-role")).toBe("LEADING");
    const atCrowning = producer.acknowledged.length;
    await untilOffset(page, atCrowning + 9);
    await picture(page, "leader-killed");
    await expectReplay(page);

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

    // a node that stands still, by keyboard: the others take it for dead, and it continues
    const idle = ([1, 2, 3].find((sid) => sid !== second && sid !== first) ?? 0) as number;
    expect(await attribute(page, `pause-node-${idle}`, "title")).toMatch(/stops and keeps its memory/);
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
    // Brokers that nobody could register with do not look like ones that work
    for (const id of [0, 1, 2])
      await until(
        () => attribute(page, `broker-${id}`, "data-halted"),
        (halted) => halted === "true",
        "a broker looks well without a quorum",
      );
    await picture(page, "no-quorum");
    // a leader that is left alone gives up after a while; until then no election would follow
    await until(
      () => attribute(page, "leader", "data-sid"),
      (sid) => sid === "",
      "the last leader does not give up",
    );
    for (let polls = 0; polls < 2; polls++)
      await page.waitForRequest(/\/v1\/ensemble$/, { timeout: WAIT_MS });
    await testId(page, "heal-all").click();
    await untilLeader(page, () => true);
    // [PAGE-9] what lasted was the time without a quorum, and not the election after it
    await page.getByText(/^Without a quorum for .* then the election took/).waitFor({ timeout: WAIT_MS });

    await expectArmedKeys(page);
    await expectSigns(page, local.url);
    expect(errors).toEqual([]);
    await page.close();

    for (const [name, look] of Object.entries(LOOKS)) {
      const other = await browser.newPage(look);
      await other.goto(local.url);
      await untilLeader(other, () => true);
      // a page that is opened later has the last election too
      await testId(other, "watch-election").waitFor({ timeout: WAIT_MS });
      await expectGoals(other, producer.acknowledged);
      const width = await other.evaluate("document.documentElement.scrollWidth");
      expect(width, `${name} scrolls sideways`).toBeLessThanOrEqual(look.viewport.width);
      await picture(other, name);
      await expectAccessible(other);
      await other.close();
    }
    await expectFirstSteps(local.url);
    await expectUnknownEnsemble(local.url);
    await expectServerGone(local.url, () => local.end("SIGTERM"));
  });

  it("[PAGE-6] shows 2,500 goals down to the first, and keeps the reader's place while others arrive", async () => {
    const local = await startPage(["--console-port", "0", "--fresh", "--state", join(state.path, "many")]);
    const { acknowledged, stop } = produce(`${local.url}/api/demo/brokers/0`);
    await until(
      () => Promise.resolve(acknowledged.length),
      (count) => count > 0,
      "no goal is stored",
    );
    await stop();
    const first = acknowledged.length;
    await produceRecords(local.url, first, 2_500);
    const page = await browser.newPage({ viewport: { width: 1024, height: 800 } });
    await page.goto(local.url);
    await untilOffset(page, 2_499);

    await testId(page, "goal-list").hover();
    await page.mouse.wheel(0, -2_500 * 60);
    await page.locator('[data-offset="0"]').waitFor({ timeout: WAIT_MS });
    await page.mouse.wheel(0, 20 * 60);
    const place = page.locator('[data-offset="30"]');
    await place.waitFor({ timeout: WAIT_MS });
    const before = await place.boundingBox();
    await produceRecords(local.url, 2_500, 2_600);
    await page.getByText("100 new").waitFor({ timeout: WAIT_MS });
    expect(await place.boundingBox()).toEqual(before);

    // by minute, as the demo lists them: the first of all is a goal of the first minute
    await page.getByText("by minute", { exact: true }).click();
    await page.getByText("as the demo lists them").waitFor({ timeout: WAIT_MS });
    await testId(page, "new-goals").click();
    await page.locator('[aria-setsize="2600"]').first().waitFor({ timeout: WAIT_MS });
    const sorted = Array.from({ length: 2_600 }, (_, offset) => ({ offset, minute: goalOf(offset).Minute }));
    sorted.sort((a, b) => a.minute - b.minute || a.offset - b.offset);
    for (const [keys, shown] of [
      ["Home", sorted.slice(0, 5)],
      ["End", sorted.slice(-5)],
    ] as const) {
      await testId(page, "goal-list").press(keys);
      for (const { offset, minute } of shown) {
        const row = page.locator(`[data-testid="goal-row"][data-offset="${offset}"]`);
        await row.waitFor({ timeout: WAIT_MS });
        expect(Number.parseInt((await row.locator(".goal-minute").textContent()) ?? "", 10)).toBe(minute);
        expect(await row.getAttribute("aria-posinset")).toBe(
          `${1 + sorted.findIndex((each) => each.offset === offset)}`,
        );
      }
    }
    await page.close();
    await local.end("SIGTERM");
  });

  it("[PAGE-14] draws only what arrives, and has no long task at 50 goals a second", async () => {
    const local = await startPage(["--console-port", "0", "--fresh", "--state", join(state.path, "calm")]);
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.addInitScript(COUNT_DRAWING);
    await page.goto(local.url);
    await untilLeader(page, () => true);
    await page.locator(".pings .ping-good").first().waitFor({ timeout: WAIT_MS });
    await expectIdle(page);

    await browser.startTracing(page, { categories: ["disabled-by-default-devtools.timeline", "__metadata"] });
    const producers = [0, 1].map((broker) => produce(`${local.url}/api/demo/brokers/${broker}`));
    await untilOffset(page, 149);
    await Promise.all(producers.map((producer) => producer.stop()));
    const tasks = tasksOf(await browser.stopTracing());
    expect(tasks.length).toBeGreaterThan(100);
    // of CPU and not of time: a machine that is busy with other things interrupts a task
    expect(Math.max(...tasks)).toBeLessThan(50);
    await page.close();
    await local.end("SIGTERM");
  });

  it("[PAGE-4] [PAGE-5] six windows share one WebSocket, live and heal without a quorum, while each of them posts", async () => {
    const local = await startPage(["--console-port", "0", "--fresh", "--state", join(state.path, "six")]);
    const proxy = await countingProxy(Number(new URL(local.url).port));
    const context = await browser.newContext({ viewport: { width: 640, height: 480 } });
    const pages: Page[] = [];
    const open = async (): Promise<Page> => {
      const page = await context.newPage();
      await page.goto(`http://localhost:${proxy.port}`);
      await testId(page, "leader").waitFor({ timeout: WAIT_MS });
      pages.push(page);
      return page;
    };
    const first = await open();
    await untilLeader(first, () => true);
    for (const sid of [1, 2]) await post(`${local.url}/api/v1/faults/nodes/${sid}/kill`);
    for (let i = 1; i < 6; i++) await open();
    for (const page of pages) {
      await testId(page, "no-quorum-reason").waitFor({ timeout: WAIT_MS });
      // a window behind others draws rarely, and a click by mouse would wait for that
      for (let i = 0; i < 2; i++) await testId(page, "post-goal").dispatchEvent("click");
    }
    for (const page of pages) await page.getByText(/no answer yet|same key/).waitFor({ timeout: WAIT_MS });
    await testId(pages[5] as Page, "heal-all").click();
    // every window sees the quorum come back, and each of its goals is stored
    for (const page of pages) await untilLeader(page, (sid) => sid > 0);
    for (const page of pages) await untilOffset(page, 11);
    const offsets = await getJson<{ end_offset: number }>(
      `${local.url}/api/topics/goals/partitions/0/offsets`,
    );
    expect(offsets.end_offset).toBe(12);
    expect(proxy.sockets()).toEqual({ opened: 1, open: 1 });
    // a window that is closed takes nothing from the others
    for (const page of pages.slice(0, 3)) await page.close();
    await testId(pages[4] as Page, "post-goal").dispatchEvent("click");
    await untilOffset(pages[5] as Page, 12);
    expect(proxy.sockets()).toEqual({ opened: 1, open: 1 });
    await context.close();
    await until(
      () => proxy.sockets().open,
      (open) => open === 0,
      "a WebSocket outlives its windows",
    );
    proxy.close();
    await local.end("SIGTERM");
  });

  it("[PAGE-7] [PAGE-11] works when it is opened by address, and is built for production", async () => {
    const args = ["--console-port", "0", "--fresh", "--host", "0.0.0.0", "--state", join(state.path, "host")];
    const local = await startPage(args);
    const page = await browser.newPage();
    const { port } = new URL(local.url);
    await page.goto(`http://0.0.0.0:${port}`);
    const script = await page.locator('script[type="module"]').getAttribute("src");
    const code = await (await fetch(new URL(script ?? "", local.url))).text();
    expect(code).toContain("watch it slowly");
    expect(code).not.toContain("jsxDEV");
    expect(await page.evaluate("[isSecureContext, typeof crypto.randomUUID]")).toEqual([false, "undefined"]);
    await untilLeader(page, () => true);
    await testId(page, "post-goal").click();
    await untilOffset(page, 0);
    await page.getByRole("button", { name: "Copy as curl: Kill node 1" }).click();
    await page.getByText(/Copied to the clipboard|here is the command/).waitFor({ timeout: WAIT_MS });
    const { stderr } = await local.end("SIGTERM");
    expect(stderr).toMatch(/everyone who reaches this machine may write, and kill nodes/);
    await page.close();
  });
});

describe("a page beside a damaged node", () => {
  it("[PAGE-16] keeps every button usable, however long the path in the reason", async () => {
    const dir = join(state.path, "damaged");
    const args = ["--console-port", "0", "--state", dir];
    await (await startPage(args)).end("SIGTERM");
    const path = must(nodeDatabases(join(dir, "objects", "zooweeper-ZooWeeperNode")).get(3), "a database");
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(100, 0x5a), 0, 100, 0);
    closeSync(file);
    const local = await startPage(args);
    const page = await browser.newPage();
    await page.goto(local.url);
    await page.getByText(/its database may be damaged/).waitFor({ timeout: WAIT_MS });
    const buttons = page.locator(".row-actions button");
    // those of three nodes, once the page knows that faults are on
    await buttons.nth(3 * 4 - 1).waitFor({ timeout: WAIT_MS });
    for (const width of [1440, 1024, 860, 360]) {
      await page.setViewportSize({ width, height: 900 });
      // a trial fails if another element covers the button
      for (const button of await buttons.all()) await button.click({ trial: true, timeout: WAIT_MS });
    }
    await page.close();
    await local.end("SIGTERM");
  });
});

/** Counts in the page how often its document changes, and how often it asks for an animation frame. */
const COUNT_DRAWING = `
  globalThis.drawn = { changes: 0, frames: 0 };
  new MutationObserver(() => { drawn.changes += 1; })
    .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const request = requestAnimationFrame;
  globalThis.requestAnimationFrame = (run) => { drawn.frames += 1; return request(run); };
`;

interface Drawn {
  readonly changes: number;
  readonly frames: number;
}

/** Watches an idle page for some polls: what it draws is bounded by what arrives, on any machine. */
async function expectIdle(page: Page): Promise<void> {
  let polls = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/ensemble")) polls += 1;
  });
  const passed = (count: number): Promise<number> =>
    until(
      () => polls,
      (seen) => seen >= count,
      "the status is not asked for",
    );
  // what comes with the beginning is drawn by then
  const first = await passed(2);
  const before = (await page.evaluate("({ ...drawn })")) as Drawn;
  const last = await passed(first + 8);
  const after = (await page.evaluate("({ ...drawn })")) as Drawn;
  expect(after.changes - before.changes).toBeLessThanOrEqual(6 * (last - first + 1));
  expect(after.frames).toBe(before.frames);
  const endless =
    "document.getAnimations().filter((a) => a.effect.getTiming().iterations === Infinity).length";
  expect(await page.evaluate(endless)).toBe(0);
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** CPU time, µs */
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

/** CPU time of each task of the pages' main threads, ms. */
function tasksOf(trace: Buffer): number[] {
  const { traceEvents } = JSON.parse(trace.toString()) as { readonly traceEvents: readonly TraceEvent[] };
  const threads = new Set(
    traceEvents
      .filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter(({ name, pid, tid }) => name === "RunTask" && threads.has(`${pid} ${tid}`))
    .map(({ tdur = 0 }) => tdur / 1_000);
}

interface CountingProxy {
  readonly port: number;
  readonly sockets: () => { readonly opened: number; readonly open: number };
  close(): void;
}

/** Passes connections on to a port of this machine, and counts those of `/v1/live`. */
async function countingProxy(target: number): Promise<CountingProxy> {
  const count = { opened: 0, open: 0 };
  const proxy = createServer((client) => {
    const server = connect(target, "127.0.0.1");
    client.once("data", (head: Buffer) => {
      if (!/^GET \S*\/v1\/live /.test(head.toString("latin1"))) return;
      count.opened += 1;
      count.open += 1;
      client.once("close", () => {
        count.open -= 1;
      });
    });
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) {
      socket.on("error", () => {});
      socket.once("close", () => {
        client.destroy();
        server.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as AddressInfo;
  return { port, sockets: () => ({ ...count }), close: () => proxy.close() };
}

/** [PAGE-1] The status is asked for again and again while events flow, and what is shown is what the API says. */
async function expectPolls(page: Page): Promise<void> {
  const asked: number[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/ensemble")) asked.push(performance.now());
  });
  const seen = (): Promise<string | null> => testId(page, "event-log").textContent();
  const before = await seen();
  await until(
    () => Promise.resolve(asked.length),
    (count) => count >= 6,
    "the status is not asked for",
  );
  const paceMs = ((asked.at(-1) ?? 0) - (asked[0] ?? 0)) / (asked.length - 1);
  expect(paceMs).toBeGreaterThan(800);
  // a machine that is busy with other things is late, but not by whole seconds each time
  expect(paceMs).toBeLessThan(2_500);
  expect(await seen()).not.toBe(before);
}

/** [PAGE-9] The election that has just been is offered, shown slowly, and can be left. */
async function expectReplay(page: Page): Promise<void> {
  await testId(page, "watch-election").click({ timeout: WAIT_MS });
  await testId(page, "replay").waitFor({ timeout: WAIT_MS });
  const step = async (): Promise<number> => Number(await testId(page, "replay-bar").getAttribute("value"));
  await until(step, (value) => value >= 2, "the replay does not move");
  await picture(page, "election");
  await testId(page, "close-replay").click();
  await testId(page, "leader").waitFor({ timeout: WAIT_MS });

  await page.emulateMedia({ reducedMotion: "reduce" });
  await testId(page, "watch-election").click();
  expect(await step()).toBe(0);
  await page.getByRole("button", { name: "Next" }).click();
  expect(await step()).toBe(1);
  await page.keyboard.press("Escape");
  await testId(page, "leader").waitFor({ timeout: WAIT_MS });
  await page.emulateMedia({ reducedMotion: null });
}

/** A key arms, Escape disarms, and only the second press kills. */
async function expectArmedKeys(page: Page): Promise<void> {
  const sid = await untilLeader(page, () => true);
  const isUp = (): Promise<string | null> => attribute(page, `node-${sid}`, "data-up");
  const kills: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/kill")) kills.push(request.url());
  });
  await page.locator("body").press("k");
  await testId(page, "armed").waitFor({ timeout: WAIT_MS });
  expect(await testId(page, "armed").textContent()).toContain(`kill node ${sid}`);
  await page.keyboard.press("Escape");
  await testId(page, "armed").waitFor({ state: "detached", timeout: WAIT_MS });
  await page.keyboard.press("k");
  // what is armed is forgotten by itself
  await testId(page, "armed").waitFor({ timeout: WAIT_MS });
  await testId(page, "armed").waitFor({ state: "detached", timeout: WAIT_MS });
  expect([kills, await isUp()]).toEqual([[], "true"]);
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await until(isUp, (up) => up === "false", "the second press does not kill");
  await page.keyboard.press("h");
  await untilLeader(page, (leader) => leader !== sid);
  await until(isUp, (up) => up === "true", "h does not heal");
}

/** [PAGE-8] Faults that somebody else makes have a sign in words, each at its node and its links. */
async function expectSigns(page: Page, url: string): Promise<void> {
  const json = { "content-type": "application/json" };
  const fault = (path: string, body: object) =>
    post(`${url}/api/v1/faults/nodes/${path}`, JSON.stringify(body), json);
  const leader = await untilLeader(page, () => true);
  const [a = 0, b = 0] = [1, 2, 3].filter((sid) => sid !== leader);
  await fault(`${a}/drop`, { probability: 0.01, peers: [b], ttlMs: 600_000 });
  await fault(`${a}/delay`, { delayMs: 5, ttlMs: 600_000 });
  await fault(`${a}/duplicate`, { probability: 0.25, ttlMs: 600_000 });
  await fault(`${a}/slow-storage`, { delayMs: 5, ttlMs: 600_000 });
  await fault(`${a}/skew`, { skewMs: 20, ttlMs: 600_000 });
  await fault(`${b}/isolate`, { peers: [a], direction: "out", ttlMs: 600_000 });
  for (const words of ["drops 1 %", "delayed 5 ms", "duplicates 25 %", "slow disk, 5 ms", "clock +20 ms"])
    await page.locator(".fault-signs").getByText(words).waitFor({ timeout: WAIT_MS });
  const link = `link-${Math.min(a, b)}-${Math.max(a, b)}`;
  await until(
    () => attribute(page, link, "data-sign"),
    (sign) => sign?.includes(`${b}→${a} cut`) === true && sign.includes("drops 1 %"),
    "the link has no sign",
  );
  // [FAULT-50] of a broker too, which the events tell
  await post(`${url}/api/v1/faults/brokers/1/kill`);
  await testId(page, "revive-broker-1").waitFor({ timeout: WAIT_MS });
  await page
    .locator('.log-row[data-type="fault"]')
    .getByText("broker 1: killed")
    .waitFor({ timeout: WAIT_MS });
  await picture(page, "faults");
  await expectAccessible(page);
  await testId(page, "heal-all").click();
  await page.locator(".fault-signs").first().waitFor({ state: "detached", timeout: WAIT_MS });
}

const WIDTHS: readonly number[] = [860, 1024, 1440];

/** Is the notice in sight, wherever the page is scrolled to? */
async function expectNotice(page: Page): Promise<void> {
  for (const top of [0, 100_000]) {
    await page.evaluate(`scrollTo(0, ${top})`);
    const box = await testId(page, "api-down").boundingBox();
    expect(box?.y).toBeGreaterThanOrEqual(0);
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(page.viewportSize()?.height ?? 0);
  }
}

const SIZES = [
  { width: 860, height: 720 },
  { width: 1024, height: 768 },
  { width: 1280, height: 720 },
  { width: 1440, height: 900 },
] as const;

/** What a visitor does first needs no scrolling. */
async function expectFirstSteps(url: string): Promise<void> {
  for (const viewport of SIZES) {
    const page = await browser.newPage({ viewport });
    await page.goto(url);
    await untilLeader(page, () => true);
    for (const id of ["leader", "node-1", "kill-node-1", "kill-node-3", "post-goal"]) {
      await testId(page, id).waitFor({ timeout: WAIT_MS });
      const box = await testId(page, id).boundingBox();
      const { x = -1, y = -1, width = 0, height = 0 } = box ?? {};
      const seen = x >= 0 && y >= 0 && x + width <= viewport.width && y + height <= viewport.height;
      expect(seen, `${id} at ${viewport.width}: ${JSON.stringify(box)}`).toBe(true);
    }
    await page.close();
  }
}

/** [PAGE-3] Of an ensemble that does not exist the page says so, and leads back. */
async function expectUnknownEnsemble(url: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1024, height: 800 } });
  await page.goto(`${url}/#/e/none-such`);
  await testId(page, "api-down").waitFor({ timeout: WAIT_MS });
  await expectNotice(page);
  expect(await testId(page, "kill-node-1").count()).toBe(0);
  await page.getByRole("link", { name: "Show the default ensemble" }).click();
  await untilLeader(page, () => true);
  expect(await testId(page, "api-down").count()).toBe(0);
  await page.close();
}

/** [PAGE-3] When the server goes away, every open page says so in sight and offers nothing that cannot be done. */
async function expectServerGone(url: string, end: () => Promise<unknown>): Promise<void> {
  const pages: Page[] = [];
  for (const width of WIDTHS) {
    const page = await browser.newPage({ viewport: { width, height: 800 } });
    await page.goto(url);
    await untilLeader(page, () => true);
    await testId(page, "kill-node-1").waitFor({ timeout: WAIT_MS });
    pages.push(page);
  }
  await end();
  for (const page of pages) {
    await testId(page, "api-down").waitFor({ timeout: WAIT_MS });
    await expectNotice(page);
    expect(await testId(page, "age").textContent()).toMatch(/What you see is \d+ (s|min) old/);
    for (const id of ["kill-node-1", "pause-node-2", "heal-all", "kill-broker-0"])
      expect(await testId(page, id).isDisabled()).toBe(true);
    expect(await page.locator("main").getAttribute("data-stale")).toBe("true");
    await page.evaluate("scrollTo(0, 0)");
    await expectAccessible(page);
    await page.close();
  }
}

/** Stores the goals `from` to `to`, without the latter, in a few requests. */
async function produceRecords(url: string, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += RECORDS_OF_ONE_POST) {
    const goals = Array.from({ length: Math.min(RECORDS_OF_ONE_POST, to - at) }, (_, i) => goalOf(at + i));
    const response = await fetch(`${url}/api/topics/goals/partitions/0`, {
      method: "POST",
      headers: { "content-type": "application/vnd.kafka.json.v2+json" },
      body: JSON.stringify({ records: goals.map((value) => ({ value })) }),
    });
    expect(response.status, await response.text()).toBe(200);
  }
}

describe("a client that ends and returns", () => {
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
      await untilOffset(page, (await lastOffset(page)) + 5);
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
