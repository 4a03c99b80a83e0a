/** The ring buffer of protocol events of one node: which events are kept, and what a listener gets that reconnects. */
import { describe, expect, it } from "vitest";
import { asSid } from "../../../core/zab/membership.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import type { FaultView } from "../../../durable-objects/shared/faults.ts";
import { EventFeed } from "../../../durable-objects/zooweeper-node/event-feed.ts";

const LIMITS = { eventsMax: 100, rareEventsMax: 10, eventsLingerMs: 1_000 };
const LINK = { type: "link", to: asSid(2), up: true } as const;
const COMMIT = { type: "commit", zxid: zxid(1, 1) } as const;

interface Frame {
  readonly type: string;
  readonly id: string;
  readonly events?: readonly Frame[];
  readonly faults?: readonly unknown[];
}

/** One end of a socket that keeps what was sent on it. */
function listener(): { readonly socket: WebSocket; readonly frames: Frame[] } {
  const frames: Frame[] = [];
  const socket = { send: (text: string) => frames.push(JSON.parse(text)) } as unknown as WebSocket;
  return { socket, frames };
}

const feed = (faults: readonly FaultView[] = []): EventFeed =>
  new EventFeed(
    1,
    5,
    LIMITS,
    () => faults,
    (socket, text) => socket.send(text),
  );

describe("the events of a node", () => {
  it("[HTTP-82] keep rare events without a listener, a bounded number of them", () => {
    const events = feed();
    expect(events.tracing(0)).toBe("rare");
    for (let i = 0; i < 1_000; i++) events.record(i, LINK);
    const { socket, frames } = listener();
    events.listen(socket, null, 1_000, true);
    const kept = frames[0]?.events ?? [];
    expect(kept.length).toBeGreaterThanOrEqual(LIMITS.rareEventsMax);
    expect(kept.length).toBeLessThanOrEqual(LIMITS.rareEventsMax * 1.1);
    expect(kept.at(-1)?.id).toBe("5-1000");
    expect(events.tracing(1_000)).toBe(true);
  });

  it("[HTTP-82] replay nothing to a listener that does not request it, or that resumes", () => {
    const events = feed();
    events.record(0, LINK);
    const [plain, resumed] = [listener(), listener()];
    events.listen(plain.socket, null, 0);
    events.listen(resumed.socket, events.lastId, 0, true);
    expect([plain.frames, resumed.frames]).toEqual([[], []]);
  });

  it("[HTTP-82] replay to a listener that requests it and returns to another incarnation of the node", () => {
    const events = feed();
    events.record(0, LINK);
    const [asks, plain] = [listener(), listener()];
    events.listen(asks.socket, "4-17", 1, true);
    events.listen(plain.socket, "4-17", 1);
    expect(asks.frames.map(({ type }) => type)).toEqual(["history", "gap", "fault"]);
    expect(asks.frames[0]?.events?.map(({ id }) => id)).toEqual(["5-1"]);
    expect(plain.frames.map(({ type }) => type)).toEqual(["gap", "fault"]);
  });

  it("[HTTP-20] report a gap to a listener that missed unrecorded events", () => {
    const events = feed();
    const first = listener();
    events.listen(first.socket, null, 0);
    events.record(1, COMMIT);
    events.unlisten(first.socket, 2);
    events.record(3, COMMIT);
    const soon = listener();
    events.listen(soon.socket, first.frames[0]?.id ?? "", 4);
    expect(soon.frames.map(({ id }) => id)).toEqual(["5-2"]);
    events.unlisten(soon.socket, 5);
    // longer than recording lasts: rare events are kept, the others are not
    events.record(5 + LIMITS.eventsLingerMs, LINK);
    const late = listener();
    events.listen(late.socket, "5-2", 6 + LIMITS.eventsLingerMs);
    expect(late.frames[0]).toMatchObject({ type: "gap", id: events.lastId });
    events.record(7 + LIMITS.eventsLingerMs, COMMIT);
    expect(late.frames.at(-1)?.type).toBe("commit");
  });

  it("[FAULT-50] begin with the faults that are on, as of the last event", () => {
    const events = feed([{ fault: "skew", skewMs: 7, remainingMs: 100 }]);
    const { socket, frames } = listener();
    events.record(0, LINK);
    events.listen(socket, null, 0);
    expect(frames).toMatchObject([{ type: "fault", id: "5-1", faults: [{ fault: "skew", skewMs: 7 }] }]);
  });
});
