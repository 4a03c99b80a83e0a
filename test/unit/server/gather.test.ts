import { describe, expect, it } from "vitest";
import { EffectList } from "../../../core/server/effect-list.ts";
import { Gather } from "../../../core/server/gather.ts";

/** A gather, and a way to send a batch of this size that waits: at once, or after the turn of I/O that it asks for. */
function gathering() {
  const effects = new EffectList(new Map());
  const gather = new Gather(effects);
  const send = (waiting: number): "at once" | "after a turn" => {
    const isFree = gather.mayLeave(waiting);
    const asked = effects.take();
    expect(asked).toEqual(isFree ? [] : [{ type: "yield" }]);
    if (!isFree) {
      expect(gather.mayLeave(waiting), "nothing leaves in the meantime").toBe(false);
      expect(effects.take(), "one turn is asked for").toEqual([]);
      gather.yielded();
    }
    gather.sent(waiting);
    return isFree ? "at once" : "after a turn";
  };
  return { gather, send };
}

describe("writes that wait to leave", () => {
  it("[SERVER-62] leave at once while there are few", () => {
    const { send } = gathering();
    expect([send(1), send(2), send(1), send(2)]).toEqual(["at once", "at once", "at once", "at once"]);
  });

  it("[SERVER-62] leave after a turn of I/O when there are more, and for a while after that", () => {
    const { send } = gathering();
    expect([send(3), send(1), send(1), send(1)]).toEqual([
      "after a turn",
      "after a turn",
      "after a turn",
      "at once",
    ]);
  });

  it("[SERVER-62] leave at once again after the leader has changed", () => {
    const { gather, send } = gathering();
    send(500);
    gather.reset();
    expect(send(1)).toBe("at once");
  });
});
