/** Work that is cut into slices, so that many sockets hold up nobody. */
import { describe, expect, it } from "vitest";
import { inSlices } from "../../../durable-objects/shared/sockets.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("many sockets", () => {
  it("[NODE-42] are written in slices of 64, each in a turn of its own, behind what the present turn does", async () => {
    const written: number[] = [];
    let turns = 0;
    let over = false;
    const turn = (): void => {
      turns += 1;
      if (!over) setImmediate(turn);
    };
    await new Promise<void>((resolve) => {
      inSlices(upTo(2_000), (socket) => written.push(socket), resolve);
      expect(written).toEqual([]);
      setImmediate(turn);
    });
    over = true;
    expect(written).toEqual(upTo(2_000));
    expect(turns).toBeGreaterThan(1);
  });

  it("[NODE-42] that fit into one slice are written at once", () => {
    const written: number[] = [];
    let done = false;
    inSlices(
      upTo(64),
      (socket) => written.push(socket),
      () => {
        done = true;
      },
    );
    expect([written.length, done]).toEqual([64, true]);
  });
});
