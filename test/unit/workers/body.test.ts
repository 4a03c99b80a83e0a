import { describe, expect, test } from "vitest";
import { BODY_BYTES_MAX } from "../../../workers/api/config.ts";
import { readBody } from "../../../workers/api/http/read-body.ts";

/** A body of these chunks; `ends`: else more is never said of it. */
function bodyOf(
  chunks: readonly Uint8Array[],
  ends: boolean,
  onCancel = () => {},
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      if (ends) controller.close();
    },
    cancel: onCancel,
  });
}

describe("the body of a request", () => {
  test("[HTTP-50] one that does not arrive in time is REQUEST_TIMEOUT, and is not waited for", async () => {
    const cancelled = Promise.withResolvers<void>();
    const half = bodyOf([new Uint8Array(3)], false, cancelled.resolve);
    await expect(readBody(half, 5)).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
      message: "the body did not arrive within 0.005 s",
    });
    await cancelled.promise;
  });

  test("[HTTP-50] one that arrives is returned whole, and its failure is passed on", async () => {
    const chunks = [[1, 2], [], [3]].map((bytes) => new Uint8Array(bytes));
    expect([...(await readBody(bodyOf(chunks, true)))]).toEqual([1, 2, 3]);
    expect((await readBody(null)).length).toBe(0);
    const broken = new ReadableStream({
      start: (controller) => controller.error(new Error("the client left")),
    });
    await expect(readBody(broken)).rejects.toThrow("the client left");
  });

  test("[HTTP-50] one that is too long is TOO_LARGE, however its length was declared", async () => {
    const half = new Uint8Array(BODY_BYTES_MAX / 2);
    expect((await readBody(bodyOf([half, half], true))).length).toBe(BODY_BYTES_MAX);
    await expect(readBody(bodyOf([half, half, new Uint8Array(1)], false))).rejects.toMatchObject({
      code: "TOO_LARGE",
    });
  });
});
