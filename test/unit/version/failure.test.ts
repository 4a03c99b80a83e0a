import { describe, expect, it } from "vitest";
import { APPLY_RETRY_MS } from "../../../core/server/config.ts";
import { isPassed, noteFailure, stoppedUntil, wordsOf } from "../../../core/server/failure.ts";
import { PROTOCOL_VERSION } from "../../../core/version.ts";
import { zxid } from "../../../core/zab/zxid.ts";

const AT = zxid(2, 7);
const NOW = 1_764_000_000_000;

describe("failure record of a member that cannot apply a txn", () => {
  it("[VER-5] stops it after the second time at one zxid, for a minute, and names place, reason and count", () => {
    const once = noteFailure(undefined, AT, "there is no txn of type 99", NOW);
    expect(stoppedUntil(once, NOW)).toBeUndefined();
    const twice = noteFailure(once, AT, "there is no txn of type 99", NOW + 20);
    expect(twice).toMatchObject({ count: 2, sinceMs: NOW, lastMs: NOW + 20 });
    expect(stoppedUntil(twice, NOW + 21)).toBe(NOW + 20 + APPLY_RETRY_MS);
    expect(stoppedUntil(twice, NOW + 20 + APPLY_RETRY_MS)).toBeUndefined();
    expect(wordsOf(twice, "a time")).toBe(
      `it cannot apply what was committed after 0x200000007: there is no txn of type 99 (version ${PROTOCOL_VERSION} of the protocol, 2 times since a time)`,
    );
  });

  it("[VER-5] restarts its count at another zxid, and for another version, which starts at once", () => {
    const twice = noteFailure(noteFailure(undefined, AT, "a", NOW), AT, "a", NOW);
    expect(noteFailure(twice, zxid(2, 8), "b", NOW).count).toBe(1);
    const older = { ...twice, version: PROTOCOL_VERSION - 1 };
    expect(stoppedUntil(older, NOW)).toBeUndefined();
    expect(noteFailure(older, AT, "a", NOW).count).toBe(1);
  });

  it("[VER-5] is deleted once the tree has passed that zxid", () => {
    const once = noteFailure(undefined, AT, "a", NOW);
    expect(isPassed(once, AT)).toBe(false);
    expect(isPassed(once, zxid(2, 8))).toBe(true);
  });

  it("[VER-5] does not stop a member whose clock was set back from starting", () => {
    const twice = noteFailure(noteFailure(undefined, AT, "a", NOW), AT, "a", NOW);
    expect(stoppedUntil(twice, NOW - 3_600_000)).toBeUndefined();
  });
});
