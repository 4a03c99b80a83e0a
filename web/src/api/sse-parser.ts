/**
 * Server-sent events, parsed as the bytes arrive. Pure: text in, messages out.
 *
 * @source WHATWG HTML, "Server-sent events", event stream interpretation
 */

/** One dispatched event. `id` is the last id seen, also when this event carried none. */
export interface SseMessage {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

export interface SseParser {
  /** Takes the next piece of text, however it was cut, and returns the events it completes. */
  feed(text: string): SseMessage[];
  /** The reconnection time the server asked for, in ms. */
  retryMs(): number | undefined;
}

/** An event larger than this is refused: the server would be misbehaving. */
const EVENT_CHARS_MAX = 4 * 1024 * 1024;

export function createSseParser(lastEventId = ""): SseParser {
  let rest = "";
  let afterCarriageReturn = false;
  let event = "";
  let id = lastEventId;
  let data: string[] = [];
  let size = 0;
  let retry: number | undefined;

  const take = (line: string, out: SseMessage[]): void => {
    if (line === "") {
      if (data.length > 0) out.push({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      size = 0;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? "" : line.slice(colon + 1);
    const value = raw.startsWith(" ") ? raw.slice(1) : raw;
    if (field === "data") {
      size += value.length;
      if (size > EVENT_CHARS_MAX) throw new Error("the event stream sent an event that is too large");
      data.push(value);
    } else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) retry = Number(value);
  };

  return {
    feed(text) {
      const out: SseMessage[] = [];
      let chunk = text;
      // CR LF may be cut between two pieces: the LF then ends no second line.
      if (afterCarriageReturn && chunk.startsWith("\n")) chunk = chunk.slice(1);
      if (chunk !== "") afterCarriageReturn = chunk.endsWith("\r");
      rest += chunk;
      const lines = rest.split(/\r\n|\n|\r/);
      rest = lines.pop() ?? "";
      if (rest.length > EVENT_CHARS_MAX) throw new Error("the event stream sent a line that is too long");
      for (const line of lines) take(line, out);
      return out;
    },
    retryMs: () => retry,
  };
}
