import { expect, test } from "vitest";
import type { Phase, ProtocolEvent } from "../../../web/src/api/types.ts";
import { foldOutage, type Outage } from "../../../web/src/features/election/outage.ts";

const event = (at: number, fields: Partial<ProtocolEvent>): ProtocolEvent => ({
  id: "1-1",
  at,
  sid: 1,
  type: "role",
  ...fields,
});
const lost = (at: number, to = 3) => event(at, { type: "link", to, up: false });
const leads = (at: number, phase: Phase = "BROADCAST") => event(at, { sid: 2, role: "LEADING", phase });
const fold = (events: readonly ProtocolEvent[], leader: number | null = 3) =>
  events.reduce<Outage | null>((outage, one) => foldOutage(outage, one, leader), null);

test("from the first notice to the new leader's broadcast", () => {
  const events = [lost(1_000), lost(1_004), leads(1_150, "DISCOVERY"), leads(1_200)];
  expect(fold(events)).toEqual({ sinceMs: 1_000, untilMs: 1_200 });
});

test("a leader that steps down is an outage, a lost follower is not", () => {
  expect(fold([event(5, { sid: 3, role: "LOOKING" })])).toEqual({ sinceMs: 5, untilMs: null });
  expect(fold([lost(5, 1), event(6, { sid: 1, role: "LOOKING" })])).toBeNull();
});

test("a leader without an outage before it, as at the first start, measures nothing", () => {
  expect(fold([leads(9)], null)).toBeNull();
});

test("a notice without consequences is discarded", () => {
  expect(fold([lost(1_000), leads(100_000)])).toEqual({ sinceMs: 1_000, untilMs: null });
  expect(fold([lost(1_000), lost(100_000), leads(100_200)])).toEqual({ sinceMs: 100_000, untilMs: 100_200 });
});

test("clocks that disagree give no negative time", () => {
  expect(fold([lost(1_000), leads(990)])).toEqual({ sinceMs: 1_000, untilMs: 1_000 });
});
