import { expect, test } from "vitest";
import { NO_STATUS, takeEvents, takeStatus } from "../../../web/src/features/ensemble/status.ts";
import { ensembleOf, eventOf, nodeUp } from "./states.ts";

const nodes = (lastEvent: string, fields = {}) =>
  [1, 2, 3].map((sid) =>
    nodeUp(sid, { lastEvent, ...(sid === 2 ? { role: "LEADING", activeSet: [1, 2, 3] } : {}), ...fields }),
  );

test("[PAGE-2] an event that a status already includes is not applied to it, however late it arrives", () => {
  const status = takeStatus(NO_STATUS, ensembleOf({ nodes: nodes("1-20") }), 1_000);
  const old = eventOf({ sid: 2, id: "1-20", role: "LOOKING" });
  expect(takeEvents(status, [old], 9_000)).toBe(status);
  const fresh = eventOf({ sid: 2, id: "1-21", role: "LOOKING" });
  expect(takeEvents(status, [fresh], 9_000).view?.leader).toBeNull();
});

test("[PAGE-2] a status in transit while an event arrives does not undo it", () => {
  let status = takeStatus(NO_STATUS, ensembleOf({ nodes: nodes("1-20") }), 1_000);
  status = takeEvents(status, [eventOf({ sid: 2, id: "1-30", role: "LOOKING" })], 1_900);
  status = takeStatus(status, ensembleOf({ nodes: nodes("1-25") }), 2_000);
  expect(status.view?.leader).toBeNull();
  status = takeStatus(status, ensembleOf({ nodes: nodes("1-31") }), 3_000);
  expect(status.view?.leader).toBe(2);
  expect(status.recent).toEqual([]);
});

test("[PAGE-2] a new incarnation of a node is newer than any event of the last one", () => {
  const status = takeStatus(NO_STATUS, ensembleOf({ nodes: nodes("7-3") }), 1_000);
  expect(takeEvents(status, [eventOf({ sid: 2, id: "6-900", role: "LOOKING" })], 1_500)).toBe(status);
  const taken = takeEvents(status, [eventOf({ sid: 1, id: "8-1", role: "LOOKING" })], 1_500);
  expect(taken.view?.nodes[0]).toMatchObject({ role: "LOOKING" });
});

test("[PAGE-2] a status that was requested earlier is ignored", () => {
  const status = takeStatus(NO_STATUS, ensembleOf({ epoch: 5 }), 2_000);
  expect(takeStatus(status, ensembleOf({ epoch: 4 }), 1_999)).toBe(status);
});

test("[PAGE-2] events of a node that does not number its status count from the request of that status", () => {
  const status = takeStatus(NO_STATUS, ensembleOf(), 1_000);
  const looking = eventOf({ sid: 2, id: "1-5", role: "LOOKING" });
  expect(takeEvents(status, [looking], 999)).toBe(status);
  expect(takeEvents(status, [looking], 1_001).view?.leader).toBeNull();
});

test("[PAGE-2] a node whose storage was lost numbers from the start, and its old events are replaced", () => {
  let status = takeStatus(NO_STATUS, ensembleOf({ nodes: nodes("9-5") }), 1_000);
  status = takeEvents(status, [eventOf({ sid: 2, id: "9-6", role: "LOOKING" })], 1_100);
  status = takeStatus(status, ensembleOf({ nodes: nodes("1-1") }), 7_000);
  expect(status.view?.leader).toBe(2);
});

test("[PAGE-2] a node that sends an event is not asleep, and its pings are those that it reports", () => {
  const pings = [{ sid: 2, rttMs: 2, heardMsAgo: 0, role: "LEADING" }];
  const asleep = ensembleOf({ quiet: true, nodes: nodes("1-20", { pings }) });
  const status = takeStatus(NO_STATUS, asleep, 1_000);
  expect(status.view?.quiet).toBe(true);
  const awake = takeEvents(status, [eventOf({ sid: 1, id: "2-1", type: "ping", to: 2, rttMs: 602 })], 1_200);
  expect([awake.view?.quiet, awake.view?.leader]).toEqual([false, null]);
  expect(awake.view?.nodes[0]).toMatchObject({ pings: [{ rttMs: 602 }] });
});

test("[PAGE-2] events before the first status are kept for it", () => {
  let status = takeEvents(NO_STATUS, [eventOf({ sid: 2, id: "1-30", role: "LOOKING" })], 900);
  expect(status.view).toBeUndefined();
  status = takeStatus(status, ensembleOf({ nodes: nodes("1-25") }), 1_000);
  expect(status.view?.leader).toBeNull();
});

test("[PAGE-2] a node that the others reported as down is up again after a later event of its own", () => {
  let status = takeStatus(NO_STATUS, ensembleOf({ nodes: nodes("1-20") }), 1_000);
  const broken = [1, 2].map((sid) => eventOf({ sid, id: "1-21", at: 50, type: "link", to: 3, up: false }));
  status = takeEvents(status, broken, 1_100);
  expect(status.view?.nodes[2]?.up).toBe(false);
  const before = takeEvents(status, [eventOf({ sid: 3, id: "1-21", at: 40, type: "ping" })], 1_200);
  expect(before.view?.nodes[2]?.up).toBe(false);
  const after = takeEvents(status, [eventOf({ sid: 3, id: "1-22", at: 60, type: "ping" })], 1_200);
  expect(after.view?.nodes[2]?.up).toBe(true);
});
