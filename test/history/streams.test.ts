import { expect, it } from "vitest";
import type { WatchStreamKind } from "../../core/znode/watch-stream.ts";
import { checkHistory } from "../../sim/checkers/history/check.ts";
import { formatHistory, parseHistory, type WriteRequest } from "../../sim/history/history.ts";
import type { KnownState } from "../../sim/history/stream-record.ts";
import { create, Hand, remove, setData } from "./hand.ts";

const CREATED = 1;
const DELETED = 2;
const CHANGED = 3;
const CHILDREN = 4;
const PATH = "/a";

/** Writes to a znode, and one reader of a stream of it. */
class Streamed {
  readonly hand = new Hand();

  /** @returns its zxid */
  write(request: WriteRequest): number {
    this.hand.ask(request);
    return this.hand.log.at(-1)?.zxid ?? 0;
  }

  /** @param entries events and their zxids; null: everything up to the zxid was told */
  faults(
    kind: WatchStreamKind,
    first: KnownState,
    entries: readonly [1 | 2 | 3 | 4 | null, number][],
  ): string {
    const record = this.hand.recorder.stream({ reader: 1, path: PATH, kind, first });
    record.entries.push(...entries.map(([event, zxid]) => ({ event, zxid })));
    const history = parseHistory(formatHistory(this.hand.history));
    const { faults, counts } = checkHistory(history);
    const events = entries.filter(([event]) => event !== null).length;
    expect(counts).toMatchObject({ streamEvents: events, streamStates: entries.length - events });
    return faults.join("\n");
  }
}

/** The znode is created, set twice, and deleted and created by one multi. */
function begin(): { streamed: Streamed; zxids: [number, number, number, number] } {
  const streamed = new Streamed();
  const created = streamed.write(create(PATH));
  const one = streamed.write(setData(PATH, "1"));
  const two = streamed.write(setData(PATH, "2"));
  const both = streamed.write({ type: "multi", ops: [remove(PATH), create(PATH)] });
  return { streamed, zxids: [created, one, two, both] };
}

it("[WATCH-7] accepts a stream that skips a state and ends with the last", () => {
  const { streamed, zxids } = begin();
  const [created, , two, both] = zxids;
  const first = { zxid: created - 1, gone: true };
  const entries = [
    [CREATED, created],
    [CHANGED, two],
    [null, two],
    [DELETED, both],
    [CREATED, both],
    [null, both],
  ] as const;
  expect(
    streamed.faults(
      "data",
      first,
      entries.map(([event, zxid]) => [event, zxid]),
    ),
  ).toBe("");
});

it("[WATCH-8] accepts a creation instead of the deletion before it, as after a resume", () => {
  const { streamed, zxids } = begin();
  const [, one, , both] = zxids;
  expect(
    streamed.faults("exists", { zxid: one, gone: false }, [
      [CREATED, both],
      [null, both],
    ]),
  ).toBe("");
});

it.each([true, false])("[WATCH-7] sees changes of children by the parent's pzxid: told %s", (isTold) => {
  const { streamed, zxids } = begin();
  const child = streamed.write(create(`${PATH}/c`));
  const first = { zxid: zxids[3], gone: false };
  const faults = streamed.faults(
    "children",
    first,
    isTold
      ? [
          [CHILDREN, child],
          [null, child],
        ]
      : [[null, child]],
  );
  if (isTold) expect(faults).toBe("");
  else expect(faults).toContain("was told everything up to");
});

it.each<[string, (zxids: [number, number, number, number]) => [1 | 2 | 3 | 4 | null, number][], string]>([
  [
    "the last state is not told",
    ([, one, two]) => [
      [CHANGED, one],
      [null, two],
    ],
    "was told everything up to",
  ],
  [
    "a deletion is the last word, and the znode exists",
    ([, , , both]) => [
      [DELETED, both],
      [null, both],
    ],
    "was told everything up to",
  ],
  [
    "ids go back",
    ([, one, two]) => [
      [CHANGED, two],
      [CHANGED, one],
    ],
    "after the state of",
  ],
  [
    "a state that never was",
    ([, one, two]) => [
      [CHANGED, one],
      [DELETED, two],
    ],
    "had no such state",
  ],
  [
    "a deletion twice",
    ([, , , both]) => [
      [DELETED, both],
      [DELETED, both],
    ],
    "twice",
  ],
  [
    "a change of a znode that is gone",
    ([, , , both]) => [
      [DELETED, both],
      [CHANGED, both],
    ],
    "after the state without",
  ],
  ["a creation of a znode that was not deleted", ([, one]) => [[CREATED, one]], "it was not deleted since"],
])("[WATCH-7] finds %s", (_what, entries, fault) => {
  const { streamed, zxids } = begin();
  expect(streamed.faults("data", { zxid: zxids[0], gone: false }, entries(zxids))).toContain(fault);
});

it("[WATCH-8] finds a first state that never was", () => {
  const { streamed, zxids } = begin();
  expect(streamed.faults("data", { zxid: zxids[0], gone: true }, [])).toContain("which never was");
});
