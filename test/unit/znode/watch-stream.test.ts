/**
 * Watch streams: for any batches and any breaks of the connection, the reader knows the state of the znode at the
 * end.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareZxid, ZXID_ZERO, type Zxid, zxid, zxidToText } from "../../../core/zab/zxid.ts";
import { WatchEventType, type WriteRequest } from "../../../core/znode/types.ts";
import { WatchTable } from "../../../core/znode/watch.ts";
import {
  changedAt,
  type Seen,
  type StreamEvent,
  seenFromText,
  WatchStream,
  type WatchStreamKind,
} from "../../../core/znode/watch-stream.ts";
import { create, remove, setData, World } from "./world.ts";

const { CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED } = WatchEventType;
const PATH = "/w";
const WATCHER = 7;
const multi = (...ops: WriteRequest[]): WriteRequest => ({ type: "multi", ops }) as WriteRequest;

/** A member with one stream of one reader, who may lose the connection and resume at the last id. */
class Streamed {
  readonly world = new World();
  readonly kind: WatchStreamKind;
  readonly told: StreamEvent[] = [];
  #table = new WatchTable();
  #stream: WatchStream | undefined;
  seen: Seen;

  constructor(kind: WatchStreamKind, exists: boolean) {
    this.kind = kind;
    if (exists) this.world.write(create(PATH));
    const at = changedAt(this.world.tree, PATH, kind);
    this.seen = { zxid: exists ? at : this.world.tree.lastApplied, gone: !exists };
    this.world.events.length = 0;
    this.connect();
  }

  connect(): void {
    this.#table = new WatchTable();
    this.#stream = new WatchStream(this.world.tree, PATH, this.kind, this.seen);
    this.#table.follow(this.kind === "children" ? "child" : "data", PATH, WATCHER);
  }

  /** What is noted and not told is lost, as with the memory of a member. */
  disconnect(): void {
    this.#stream = undefined;
  }

  write(request: WriteRequest): void {
    this.world.write(request);
    for (const { event } of this.#table.fire(this.world.events.splice(0)))
      this.#stream?.note(event.type, this.world.tree.lastApplied);
  }

  /** Tells the reader up to `count` events: the connection may end behind any of them. */
  tell(count = Number.POSITIVE_INFINITY): void {
    for (const told of (this.#stream?.take() ?? []).slice(0, count)) {
      expect(compareZxid(told.zxid, this.seen.zxid)).toBeGreaterThanOrEqual(0);
      this.seen = { zxid: told.zxid, gone: told.type === DELETED };
      this.told.push(told);
    }
  }

  get types(): readonly WatchEventType[] {
    return this.told.map(({ type }) => type);
  }

  /** The state that there is. */
  get state(): { readonly gone: boolean; readonly zxid?: Zxid } {
    const gone = this.world.tree.get(PATH) === undefined;
    return gone ? { gone } : { gone, zxid: changedAt(this.world.tree, PATH, this.kind) };
  }

  check(): void {
    expect(this.seen).toMatchObject(this.state);
  }
}

describe("a watch stream", () => {
  test.each<WatchStreamKind>(["data", "exists"])(
    "[WATCH-7] of %s tells both changes of one multi",
    (kind) => {
      const streamed = new Streamed(kind, true);
      streamed.write(multi(remove(PATH), create(PATH)));
      streamed.tell();
      expect(streamed.types).toEqual([DELETED, CREATED]);
      streamed.check();
    },
  );

  test("[WATCH-7] skips states that were replaced within a turn: of fifty sets it sends the last", () => {
    const streamed = new Streamed("data", true);
    for (let i = 0; i < 50; i++) streamed.write(setData(PATH, `${i}`));
    streamed.tell();
    expect(streamed.told).toEqual([{ type: DATA_CHANGED, zxid: streamed.world.stat(PATH).mzxid }]);
  });

  test("[WATCH-7] reports a znode that was created and deleted in a turn, and the one created last", () => {
    const streamed = new Streamed("exists", false);
    streamed.write(create(PATH));
    streamed.write(remove(PATH));
    streamed.tell();
    expect(streamed.types).toEqual([CREATED, DELETED]);
    for (const request of [create(PATH), remove(PATH), create(PATH), setData(PATH, "x")])
      streamed.write(request);
    streamed.tell();
    expect(streamed.types.slice(2)).toEqual([CREATED, DATA_CHANGED]);
    streamed.check();
  });

  test("[WATCH-7] of children reports a child that was created and deleted by the parent's pzxid", () => {
    const streamed = new Streamed("children", true);
    streamed.write(create(`${PATH}/c`));
    streamed.write(remove(`${PATH}/c`));
    streamed.tell();
    expect(streamed.told).toEqual([{ type: CHILDREN_CHANGED, zxid: streamed.world.stat(PATH).pzxid }]);
  });

  test("[WATCH-8] resumes between the deletion and the creation of one multi", () => {
    const streamed = new Streamed("data", true);
    streamed.write(multi(remove(PATH), create(PATH)));
    streamed.tell(1);
    streamed.disconnect();
    expect(streamed.seen.gone).toBe(true);
    streamed.connect();
    streamed.tell();
    expect(streamed.types).toEqual([DELETED, CREATED]);
    streamed.check();
  });

  test("[WATCH-8] sends nothing when it resumes at the current state", () => {
    const streamed = new Streamed("data", true);
    streamed.write(setData(PATH, "x"));
    streamed.tell();
    streamed.disconnect();
    streamed.write(create("/other"));
    streamed.connect();
    streamed.tell();
    expect(streamed.types).toEqual([DATA_CHANGED]);
  });

  test("[WATCH-8] begins with the current state for a reader without an id", () => {
    const streamed = new Streamed("data", true);
    const stream = new WatchStream(streamed.world.tree, PATH, "data", undefined);
    expect(stream.take()).toEqual([]);
  });

  test("[WATCH-7] [WATCH-8] its last event is the znode's state, whatever happens and wherever it breaks", () => {
    const child = `${PATH}/c`;
    const write = fc.constantFrom<WriteRequest>(
      create(PATH),
      remove(PATH),
      setData(PATH, "x"),
      create(child),
      remove(child),
      create("/other"),
      remove("/other"),
      multi(remove(PATH), create(PATH)),
      multi(create(PATH), remove(PATH)),
      multi(create(PATH), setData(PATH, "y"), create(child)),
      multi(remove(child), remove(PATH), create(PATH)),
    );
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), write }) },
      { weight: 2, arbitrary: fc.constant({ do: "tell" as const }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("break" as const), told: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.constant({ do: "connect" as const }) },
    );
    const kind = fc.constantFrom<WatchStreamKind>("data", "exists", "children");
    fc.assert(
      fc.property(kind, fc.boolean(), fc.array(step, { maxLength: 40 }), (kind, exists, steps) => {
        const streamed = new Streamed(kind, exists);
        for (const step of steps) {
          if (step.do === "write") streamed.write(step.write);
          else if (step.do === "tell") streamed.tell();
          else if (step.do === "connect") streamed.connect();
          else {
            streamed.tell(step.told);
            streamed.disconnect();
          }
        }
        streamed.connect();
        streamed.tell();
        streamed.check();
      }),
      { numRuns: 500 },
    );
  });

  test("[WATCH-4] a stream's watcher stays until it is removed, and then leaves no state", () => {
    const table = new WatchTable();
    table.follow("data", PATH, WATCHER);
    table.follow("child", PATH, WATCHER + 1);
    const fired = (type: WatchEventType) => table.fire([{ type, path: PATH }]).map(({ watcher }) => watcher);
    for (let round = 0; round < 2; round++) {
      expect(fired(CREATED)).toEqual([WATCHER, WATCHER + 1]);
      expect(fired(DATA_CHANGED)).toEqual([WATCHER]);
      expect(fired(CHILDREN_CHANGED)).toEqual([WATCHER + 1]);
      expect(fired(DELETED)).toEqual([WATCHER, WATCHER + 1]);
    }
    table.removeWatcher(WATCHER);
    table.removeWatcher(WATCHER + 1);
    expect(table.count).toBe(0);
    expect(fired(CREATED)).toEqual([]);
  });

  test("[WATCH-8] ids are zxids; one of a state without a znode ends in a hyphen", () => {
    const at = zxid(3, 17);
    expect(seenFromText(zxidToText(at))).toEqual({ zxid: at, gone: false });
    expect(seenFromText(`${zxidToText(at)}-`)).toEqual({ zxid: at, gone: true });
    expect(seenFromText("0x0-")).toEqual({ zxid: ZXID_ZERO, gone: true });
    for (const text of ["", "-", "17", "0xg", "0x1--"]) expect(seenFromText(text)).toBeUndefined();
  });
});
