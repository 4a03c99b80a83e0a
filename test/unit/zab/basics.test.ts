import { describe, expect, it } from "vitest";
import { DEFAULT_ZAB_CONFIG, makeZabConfig } from "../../../core/zab/config.ts";
import { asSid, foundingMembership, makeMembership, type Sid } from "../../../core/zab/membership.ts";
import { MajorityQuorum } from "../../../core/zab/quorum-verifier.ts";
import {
  COUNTER_MAX,
  compareZxid,
  equalZxid,
  maxZxid,
  minZxid,
  type Zxid,
  zxid,
  zxidFromText,
  zxidToText,
} from "../../../core/zab/zxid.ts";

describe("a zxid", () => {
  const ascending = [
    zxid(0, 0),
    zxid(0, 1),
    zxid(1, 1),
    zxid(1, 2),
    zxid(2, 1),
    zxid(2, COUNTER_MAX),
    zxid(3, 1),
  ];

  it("[ZAB-20] is ordered by epoch, then by counter", () => {
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) {
        expect(Math.sign(compareZxid(a, b))).toBe(Math.sign(i - j));
        expect(equalZxid(a, b)).toBe(i === j);
        expect(maxZxid(a, b)).toEqual(ascending[Math.max(i, j)]);
        expect(minZxid(a, b)).toEqual(ascending[Math.min(i, j)]);
      }
    }
  });

  it("[ZAB-20] has the text form that ZooKeeper prints, and is parsed from it", () => {
    expect(zxidToText(zxid(0, 0))).toBe("0x0");
    expect(zxidToText(zxid(0, 255))).toBe("0xff");
    expect(zxidToText(zxid(1, 1))).toBe("0x100000001");
    expect(zxidToText(zxid(0x12, 0xabcdef))).toBe("0x1200abcdef");
    for (const each of ascending) expect(zxidFromText(zxidToText(each))).toEqual(each);
  });

  it("[ZAB-20] is not parsed from any other text", () => {
    for (const text of ["", "0x", "1", "0x1g", "0x11111111111111111", " 0x1", "0xffffffff00000000", "-0x1"]) {
      expect(zxidFromText(text), text).toBeUndefined();
    }
  });
});

const quorumOf = (size: number): MajorityQuorum => new MajorityQuorum(foundingMembership(size));

describe("a quorum", () => {
  it("[ZAB-21] is a majority of the founding members", () => {
    for (const [size, majority] of [
      [1, 1],
      [3, 2],
      [5, 3],
      [7, 4],
      [9, 5],
    ] as const) {
      const quorum = quorumOf(size);
      expect(quorum.majority).toBe(majority);
      expect(quorum.participants.length).toBe(size);
      expect(quorum.contains(quorum.participants.slice(0, majority))).toBe(true);
      expect(quorum.contains(quorum.participants.slice(0, majority - 1))).toBe(false);
    }
  });

  it("[ZAB-21] counts each participant once", () => {
    expect(quorumOf(3).contains([asSid(1), asSid(1), asSid(1)])).toBe(false);
  });

  it("[ZAB-21] counts participants only, under any sids", () => {
    const sids = [7, 200, 255].map(asSid);
    const quorum = new MajorityQuorum(makeMembership(3, sids, [asSid(12)]));
    expect(quorum.participants).toEqual([7, 200, 255]);
    expect(quorum.contains([asSid(7), asSid(12)])).toBe(false);
    expect(quorum.contains([asSid(7), asSid(255)])).toBe(true);
  });

  it("[ZAB-21] has members under unique sids of 1 to 255", () => {
    const of =
      (...sids: number[]) =>
      () =>
        makeMembership(0, sids.map(asSid));
    for (const wrong of [of(), of(0), of(256), of(1.5), of(1, 1)]) expect(wrong).toThrow();
    expect(() => makeMembership(0, [asSid(1)], [asSid(1)])).toThrow("unique");
    expect(of(255, 1)()).toEqual({ version: 0, participants: [1, 255], observers: [] });
  });

  it("[ZAB-21] of an even number or none is refused", () => {
    for (const size of [0, 2, 4, 6, 11, -1, 1.5]) expect(() => quorumOf(size)).toThrow("members");
  });
});

describe("the commit rule", () => {
  const acked = (...zxids: Zxid[]): Map<Sid, Zxid> => new Map(zxids.map((each, i) => [asSid(i + 1), each]));

  it("[ZAB-22] commits an entry that any quorum has", () => {
    const quorum = quorumOf(3);
    expect(quorum.highestAcked(acked(zxid(1, 5), zxid(1, 3), zxid(1, 1)))).toEqual(zxid(1, 3));
    expect(quorum.highestAcked(acked(zxid(1, 1), zxid(1, 5), zxid(1, 5)))).toEqual(zxid(1, 5));
    expect(quorum.highestAcked(acked(zxid(2, 1), zxid(1, 9)))).toEqual(zxid(1, 9));
  });

  it("[ZAB-22] commits nothing without a quorum", () => {
    expect(quorumOf(3).highestAcked(acked(zxid(1, 5)))).toEqual(zxid(0, 0));
    expect(quorumOf(5).highestAcked(acked(zxid(1, 5), zxid(1, 5)))).toEqual(zxid(0, 0));
  });

  it("[ZAB-22] counts no observer", () => {
    const quorum = new MajorityQuorum(makeMembership(0, [1, 2, 3].map(asSid), [asSid(4), asSid(5)]));
    const acks = acked(zxid(1, 1), zxid(1, 2), zxid(1, 2), zxid(1, 9), zxid(1, 9));
    expect(quorum.highestAcked(acks)).toEqual(zxid(1, 2));
    expect(quorum.highestAcked(new Map([...acks].slice(2)))).toEqual(zxid(0, 0));
  });

  it("[ZAB-22] in an ensemble of one depends on its own disk only", () => {
    expect(quorumOf(1).highestAcked(acked(zxid(4, 2)))).toEqual(zxid(4, 2));
  });

  for (const size of [3, 5, 7, 9]) {
    it(`[ZAB-22] of ${size} is met by exactly a majority, for every set of acks`, () => {
      const quorum = quorumOf(size);
      for (let bits = 0; bits < 2 ** size; bits++) {
        const each = quorum.participants.map((_, i) => zxid(1, (bits >> i) & 1 ? 2 : 1));
        const have = each.filter(({ counter }) => counter === 2).length;
        expect(quorum.highestAcked(acked(...each)).counter).toBe(have >= quorum.majority ? 2 : 1);
      }
    });
  }
});

describe("the configuration", () => {
  it("[ZAB-23] has consistent defaults", () => {
    expect(makeZabConfig()).toEqual(DEFAULT_ZAB_CONFIG);
    expect(makeZabConfig({ tickTimeMs: 50 }).tickTimeMs).toBe(50);
  });

  it("[ZAB-23] refuses values that cannot work", () => {
    expect(() => makeZabConfig({ tickTimeMs: 5 })).toThrow("tickTimeMs");
    expect(() => makeZabConfig({ tickTimeMs: 1.5 })).toThrow("whole number");
    expect(() => makeZabConfig({ syncLimit: 0 })).toThrow("syncLimit");
    expect(() => makeZabConfig({ syncLimit: 11 })).toThrow("initLimit");
    expect(() => makeZabConfig({ batchesInFlightMax: 0 })).toThrow("in flight");
    expect(() => makeZabConfig({ learnerInFlightMax: 0 })).toThrow("in flight");
    expect(() => makeZabConfig({ electionRetryMs: -1 })).toThrow("whole number");
  });

  it("[ZAB-24] leaves room for the largest batch before the counter ends", () => {
    const { counterMax, batchBytesMax } = makeZabConfig();
    expect(counterMax + batchBytesMax / 36).toBeLessThan(COUNTER_MAX);
    expect(() => makeZabConfig({ counterMax: COUNTER_MAX - 1000 })).toThrow("room");
    expect(() => makeZabConfig({ counterMax: COUNTER_MAX - 1000, batchBytesMax: 36_000 })).not.toThrow();
  });
});
