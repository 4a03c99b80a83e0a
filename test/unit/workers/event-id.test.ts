import { describe, expect, it } from "vitest";
import { formatVector, parseVector } from "../../../workers/api/ensemble/event-id.ts";
import { formatEvent } from "../../../workers/api/streams/sse.ts";

describe("ids of the merged event stream", () => {
  it("[HTTP-20] are decoded as they were encoded, sids ascending", () => {
    const vector = new Map([
      [3, "1-7"],
      [1, "12-40"],
    ]);
    expect(formatVector(vector)).toBe("1:12-40,3:1-7");
    expect(parseVector("1:12-40,3:1-7")).toEqual(vector);
    expect(parseVector("")).toEqual(new Map());
  });

  it("[HTTP-20] are refused if they are invalid", () => {
    for (const text of [
      ",",
      "1:1",
      "0:1-1",
      "10:1-1",
      "1:1-1,",
      "1:1-1;2:1-1",
      "1:-1-1",
      " 1:1-1",
      `1:${"1".repeat(16)}-1`,
    ]) {
      expect([text, parseVector(text)]).toEqual([text, undefined]);
    }
  });
});

describe("an event on the wire", () => {
  it("[HTTP-19] ends with an empty line, one data line per line", () => {
    expect(formatEvent({ id: "0x1", data: "a" })).toBe("id: 0x1\ndata: a\n\n");
    expect(formatEvent({ event: "gap", id: "1:1-1", data: "a\nb\r\nc" })).toBe(
      "event: gap\nid: 1:1-1\ndata: a\ndata: b\ndata: c\n\n",
    );
    expect(formatEvent({ id: "0x1" })).toBe("id: 0x1\n\n");
  });
});
