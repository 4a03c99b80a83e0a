/** Lists of children: in pages, and too large for one message. */
import { describe, expect, it } from "vitest";
import type { ChildrenJson } from "../../../workers/api/znodes/answers.ts";
import { call, make, problemOf, send } from "./helpers.ts";

/** Creates children, several in one transaction. */
async function createAll(parent: string, names: readonly string[], atOnce: number): Promise<void> {
  for (let at = 0; at < names.length; at += atOnce) {
    const ops = names.slice(at, at + atOnce).map((name) => ({ op: "create", path: `${parent}/${name}` }));
    const response = await send("POST", "/v1/multi", { ops });
    expect(response.status, await response.text()).toBe(200);
  }
}

describe("children", () => {
  it("[HTTP-47] come in pages that follow their links, each name once", async () => {
    await make("/pages of");
    const names = [...Array.from({ length: 25 }, (_, i) => `n-${i}`), "a&b=c", "é", "%2e", "q?#"].sort();
    await createAll("/pages of", names, 500);
    for (const limit of [1, 7, names.length, 100]) {
      const seen: string[] = [];
      let next: string | undefined =
        `/v1/znodes/pages%20of?view=children&limit=${limit}&consistency=linearizable`;
      while (next !== undefined) {
        const response: Response = await call(next);
        expect([next, response.status]).toEqual([next, 200]);
        const page = await response.json<ChildrenJson>();
        expect(page.stat.numChildren).toBe(names.length);
        expect(page.children.length).toBeLessThanOrEqual(limit);
        seen.push(...page.children);
        next = /^<(.*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
        expect(page.next).toBe(next === undefined ? undefined : page.children.at(-1));
      }
      expect(seen).toEqual(names);
    }
    const rest = await call("/v1/znodes/pages%20of?view=children&after=n-9");
    expect(await rest.json()).toMatchObject({ children: ["q?#", "é"] });
    for (const query of ["limit=0", "limit=-1", "limit=x", "limit=1000001", "limit=1&limit=2"])
      await problemOf(await call(`/v1/znodes/pages%20of?view=children&${query}`), 400, "BAD_ARGUMENTS");
    await problemOf(await call("/v1/znodes/pages%20of?limit=1"), 400, "BAD_ARGUMENTS");
    await problemOf(await call("/v1/znodes/none?view=children&limit=1"), 404, "NO_NODE");
  });

  it("[HTTP-47] of more than a message holds are refused at once, and come in pages", async () => {
    await make("/huge");
    const names = Array.from({ length: 2_300 }, (_, i) => `${i}`.padStart(14_000, "h"));
    await createAll("/huge", names, 60);
    const problem = await problemOf(await call("/v1/znodes/huge?view=children"), 413, "ANSWER_TOO_LARGE");
    expect(problem).toMatchObject({ retryable: false, detail: expect.stringContaining("in pages: /huge") });
    expect((await call("/readyz")).status).toBe(200);
    let seen = 0;
    for (let next: string | undefined = ""; next !== undefined; ) {
      const page: ChildrenJson = await (
        await call(`/v1/znodes/huge?view=children&limit=1000&after=${next}`)
      ).json();
      seen += page.children.length;
      next = page.next;
    }
    expect(seen).toBe(names.length);
  });
});
