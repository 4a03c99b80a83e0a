/** The three scenarios of the student project: 100 requests to followers only, to the leader only, and at random. */
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EnsembleView, ensembleOf, getJson, isSettled, post } from "./http.ts";
import { deployment, type Running, temporaryDir, until } from "./processes.ts";

const REQUESTS = 100;
const state = temporaryDir();
let running: Running;
let api: string;

beforeAll(async () => {
  running = await deployment([
    ...["5", "1", "1", "--fresh", "--state", state.path],
    ...["--node-port", "0", "--broker-port", "0", "--client-port", "0"],
  ]);
  api = running.urls.api;
});

afterAll(async () => {
  await running?.end("SIGTERM");
  state.remove();
});

interface Child {
  readonly name: string;
  readonly text: string;
  readonly czxid: string;
}

/** The children of `path` as one node has them, in the order in which they were created. */
async function orderAt(node: string, path: string): Promise<Child[]> {
  const { children } = await getJson<{ children: string[] }>(`${node}/v1/znodes${path}?view=children`);
  const all = await Promise.all(
    children.map(async (name) => {
      const child = await getJson<{ text: string; stat: { czxid: string } }>(
        `${node}/v1/znodes${path}/${name}`,
      );
      return { name, text: child.text, czxid: child.stat.czxid };
    }),
  );
  const number = (text: string): bigint => BigInt(text);
  return all.sort((a, b) => (number(a.czxid) < number(b.czxid) ? -1 : 1));
}

/** Sends all requests at once, request i to the node that `choose` says, and compares what the nodes made of them. */
async function scenario(path: string, choose: (i: number, view: EnsembleView) => number): Promise<void> {
  const view = await until(() => ensembleOf(api), isSettled, "the ensemble does not settle");
  await post(`${api}/v1/znodes${path}`, "");
  const texts = Array.from({ length: REQUESTS }, (_, i) => `request ${i}`);
  await Promise.all(
    texts.map((text, i) => {
      const node = running.urls.nodes[choose(i, view) - 1];
      return post(`${node}/v1/znodes${path}/r-?mode=sequential`, text).then((response) => response.text());
    }),
  );
  await until(() => ensembleOf(api), isSettled, "the nodes differ");
  const orders = await Promise.all(running.urls.nodes.map((node) => orderAt(node, path)));
  const [first = []] = orders;
  for (const order of orders) expect(order).toEqual(first);
  expect(first.map(({ text }) => text).sort()).toEqual([...texts].sort());
  // the numbers that the leader gave are the order of the commits
  expect(first.map(({ name }) => name)).toEqual(texts.map((_, i) => `r-${String(i).padStart(10, "0")}`));
}

describe("100 requests end in the same order on every node", () => {
  it("sent to followers only", () =>
    scenario("/followers", (i, { leader }) => {
      const followers = [1, 2, 3, 4, 5].filter((sid) => sid !== leader);
      return followers[i % followers.length] ?? 1;
    }));

  it("sent to the leader only", () => scenario("/leader", (_, { leader }) => leader ?? 1));

  it("sent at random", () => scenario("/random", () => 1 + Math.floor(Math.random() * 5)));
});

describe("elections", () => {
  it("killing a follower starts none", async () => {
    const settled = () => until(() => ensembleOf(api), isSettled, "the ensemble does not settle");
    const kill = async () => {
      const before = await settled();
      const follower = before.nodes.find(({ sid }) => sid !== before.leader)?.sid ?? 0;
      const others = ({ leader, epoch, nodes }: EnsembleView) => ({
        leader,
        epoch,
        elections: nodes.filter(({ sid }) => sid !== follower).map(({ elections }) => elections),
      });
      await post(`${api}/v1/faults/nodes/${follower}/kill`);
      // long enough for the others to have noticed, by their own account: writes go on meanwhile
      for (let i = 0; i < 20; i++) await post(`${api}/v1/znodes/after-kill-?mode=sequential`, "");
      const after = await ensembleOf(api);
      await post(`${api}/v1/faults/nodes/${follower}/revive`);
      return [before, after, await settled()].map(others);
    };
    // a machine that stands still holds elections too, and not every time
    await until(kill, (seen) => seen.every((each) => isDeepStrictEqual(each, seen[0])), "an election");
  });

  it("all nodes that start at once elect one leader", async () => {
    const before = await ensembleOf(api);
    const sids = before.nodes.map(({ sid }) => sid);
    await Promise.all(sids.map((sid) => post(`${api}/v1/faults/nodes/${sid}/kill`)));
    const dead = await ensembleOf(api);
    expect(dead).toMatchObject({ hasQuorum: false, leader: null, reason: expect.stringContaining("0 of 5") });
    await Promise.all(sids.map((sid) => post(`${api}/v1/faults/nodes/${sid}/revive`)));
    const after = await until(() => ensembleOf(api), isSettled, "no leader is elected");
    expect(after.nodes.filter(({ role }) => role === "LEADING")).toHaveLength(1);
    expect(after.epoch).toBeGreaterThan(before.epoch);
    // every write that was acknowledged before is there
    for (const node of running.urls.nodes) expect(await orderAt(node, "/random")).toHaveLength(REQUESTS);
  });
});
