import { describe, expect, it } from "vitest";
import { guarded } from "../../../durable-objects/shared/guarded.ts";

describe("object after an error of its core or its storage", () => {
  it("[NODE-26] ends the incarnation before the caller has the error", () => {
    const happened: string[] = [];
    const error = new Error("an invariant is broken");
    const turn = (): never => {
      happened.push("turn");
      throw error;
    };
    try {
      guarded(turn, (reason) => happened.push(reason === error ? "life ended" : "another reason"));
    } catch (thrown) {
      happened.push(thrown === error ? "caller has it" : "another error");
    }
    expect(happened).toEqual(["turn", "life ended", "caller has it"]);
  });

  it("[NODE-26] returns the turn's result, and does not end the incarnation", () => {
    let ended = false;
    expect(
      guarded(
        () => [1, 2],
        () => (ended = true),
      ),
    ).toEqual([1, 2]);
    expect(ended).toBe(false);
  });
});
