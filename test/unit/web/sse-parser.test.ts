import { describe, expect, test } from "vitest";
import { createSseParser, type SseMessage } from "../../../web/src/api/sse-parser.ts";

const STREAM =
  ': hello\r\nretry: 1500\r\n\r\nid: 7\nevent: records\ndata: {"a":1}\n\ndata: x\rdata: y\r\rid\n:\ndata:z\n\nid: 9\n\n';

const EXPECTED: SseMessage[] = [
  { event: "records", data: '{"a":1}', id: "7" },
  { event: "message", data: "x\ny", id: "7" },
  { event: "message", data: "z", id: "" },
];

describe("the event stream parser", () => {
  test("reads fields, comments, and all three line ends", () => {
    const parser = createSseParser();
    expect(parser.feed(STREAM)).toEqual(EXPECTED);
    expect(parser.retryMs()).toBe(1500);
  });

  test("does not depend on how the stream is cut", () => {
    for (let size = 1; size <= 7; size++) {
      const parser = createSseParser();
      const messages: SseMessage[] = [];
      for (let at = 0; at < STREAM.length; at += size)
        messages.push(...parser.feed(STREAM.slice(at, at + size)));
      expect(messages).toEqual(EXPECTED);
    }
  });

  test("an empty piece between CR and LF changes nothing", () => {
    const parser = createSseParser();
    const messages = ["data: a\r", "", "\n", "\r\n"].flatMap((piece) => parser.feed(piece));
    expect(messages).toEqual([{ event: "message", data: "a", id: "" }]);
  });

  test("carries on with the id it was given", () => {
    expect(createSseParser("41").feed("data: a\n\n")).toEqual([{ event: "message", data: "a", id: "41" }]);
  });

  test("an event that was not finished is not delivered", () => {
    expect(createSseParser().feed("data: half\n")).toEqual([]);
  });

  test("ignores an id with NUL and a retry that is no number", () => {
    const parser = createSseParser("3");
    expect(parser.feed("id: a\0b\nretry: soon\ndata: a\n\n")).toEqual([
      { event: "message", data: "a", id: "3" },
    ]);
    expect(parser.retryMs()).toBeUndefined();
  });

  test("refuses an event that never ends", () => {
    const parser = createSseParser();
    const line = `data: ${"x".repeat(1024 * 1024)}\n`;
    expect(() => {
      for (let i = 0; i < 5; i++) parser.feed(line);
    }).toThrow("too large");
  });
});
