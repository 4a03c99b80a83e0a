/** Brokers, their controller and partitions in the simulator, and the checker of their records. */
import { describe, expect, it } from "vitest";
import { drawBrokerOptions } from "../../sim/broker/options.ts";
import { runBrokerSeed } from "../../sim/broker/run.ts";
import { RecordChecker } from "../../sim/checkers/records.ts";
import { missedBrokerProbes, runBrokerSeeds } from "../../sim/node/broker-campaign.ts";

describe("the broker's profile", () => {
  it("[SIM-40] no seed breaks a rule, and every kind of event happens", { timeout: 120_000 }, () => {
    const { failures, tally } = runBrokerSeeds(1, 60);
    expect(failures).toEqual([]);
    expect(missedBrokerProbes(tally)).toEqual([]);
  });

  it("[SIM-41] a seed decides its run", () => {
    const [first, again] = [7, 7].map((seed) => runBrokerSeed(drawBrokerOptions(seed)));
    expect(again).toEqual(first);
    expect(runBrokerSeed(drawBrokerOptions(8)).hash).not.toBe(first?.hash);
  });
});

describe("the checker of records", () => {
  /** Two records of producer 1 in p/0, acknowledged at 0 and 1. */
  function checker(): RecordChecker {
    const records = new RecordChecker();
    for (const [number, value] of ["a", "b"].entries()) {
      records.sends(1, number, "p/0", value);
      records.acknowledged(value, number, 0, 0);
    }
    return records;
  }
  const LOG = [
    { offset: 0, value: "a" },
    { offset: 1, value: "b" },
  ];

  it("[SIM-42] passes a log that is as it was acknowledged and read", () => {
    const records = checker();
    expect(records.reads("p/0", 0, 0, "a")).toBe(1);
    records.ends("p/0", LOG);
    expect(records.checks.get("Lost")).toBe(2);
  });

  const BROKEN: Readonly<Record<string, readonly [rule: string, happens: (records: RecordChecker) => void]>> =
    {
      "an acknowledged record is not in the log": ["Lost", (each) => each.ends("p/0", LOG.slice(0, 1))],
      "a record is in the log twice": [
        "Doubled",
        (each) => each.ends("p/0", [...LOG, { offset: 2, value: "a" }]),
      ],
      "a retry gets another offset": ["Doubled", (each) => each.acknowledged("a", 5, 0, 0)],
      "an offset is given to two records": [
        "OffsetTwice",
        (each) => {
          each.sends(2, 0, "p/0", "c");
          each.acknowledged("c", 1, 0, 0);
        },
      ],
      "a later record is before an earlier one": [
        "Reordered",
        (each) => {
          each.sends(1, 2, "p/0", "c");
          each.sends(1, 3, "p/0", "d");
          each.ends("p/0", [...LOG, { offset: 2, value: "d" }, { offset: 3, value: "c" }]);
        },
      ],
      "the log has a gap": ["Gap", (each) => each.ends("p/0", [{ offset: 1, value: "b" }])],
      "a reader misses an offset": ["Gap", (each) => each.reads("p/0", 0, 1, "b")],
      "an offset has another value": ["Changed", (each) => each.reads("p/0", 1, 1, "a")],
      "a record was never sent": ["Changed", (each) => each.ends("p/0", [...LOG, { offset: 2, value: "x" }])],
      "a leader epoch has two leaders": [
        "OneLeader",
        (each) => {
          each.names("p/0", 3, 1);
          each.names("p/0", 3, 2);
        },
      ],
      "a leader epoch is forgotten": [
        "Forgotten",
        (each) => {
          each.led("p/0", 4);
          each.knows("p/0", 3);
        },
      ],
      "an older leader epoch is accepted": [
        "Fenced",
        (each) => {
          each.led("p/0", 4);
          each.sends(1, 2, "p/0", "c");
          each.acknowledged("c", 2, 3, each.leaderEpochOf("p/0"));
        },
      ],
    };
  for (const [what, [rule, happens]] of Object.entries(BROKEN))
    it(`[SIM-42] finds that ${what}`, () => {
      expect(() => happens(checker())).toThrow(`[${rule}]`);
    });
});
