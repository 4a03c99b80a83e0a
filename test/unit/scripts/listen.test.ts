/** A server that outlives the failure of one answer. */
import { expect, it, vi } from "vitest";
import { listen, waiting } from "../../../scripts/local/listen.ts";

it("a listener that fails ends its connection, and the server stays up", async () => {
  const printed = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const listener = await listen(
    0,
    waiting(async (request, response) => {
      await Promise.resolve();
      if (request.url === "/broken") throw new Error("cannot answer");
      response.end("fine");
    }),
  );
  try {
    const url = `http://127.0.0.1:${listener.port}`;
    await expect(fetch(`${url}/broken`)).rejects.toThrow("fetch failed");
    expect(printed.mock.calls.flat()).toContain("GET /broken: Error: cannot answer\n");
    expect(await (await fetch(`${url}/`)).text()).toBe("fine");
  } finally {
    listener.close();
    printed.mockRestore();
  }
});
