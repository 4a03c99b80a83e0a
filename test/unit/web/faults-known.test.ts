import { expect, test } from "vitest";
import type { FaultsState, FaultView } from "../../../web/src/api/types.ts";
import { foldEvent } from "../../../web/src/features/ensemble/ensemble-view.ts";
import { FAULTS_UNKNOWN, takeFault, takeList } from "../../../web/src/features/faults/faults-known.ts";
import { describeEvent } from "../../../web/src/features/log/describe-event.ts";
import { ensembleOf, eventOf } from "./states.ts";

const pause: FaultView = { fault: "pause", remainingMs: 4_200 };
const list = (faults: readonly FaultView[]): FaultsState => ({
  nodes: [
    { sid: 1, up: true, faults: [] },
    { sid: 2, up: true, faults },
  ],
  brokers: [{ id: 0, up: true, faults: [] }],
  clients: [],
});
const told = (faults: readonly FaultView[]) => eventOf({ sid: 2, type: "fault", faults });

test("[PAGE-8] an event shows a fault at once, and its end", () => {
  const known = takeFault(takeList(FAULTS_UNKNOWN, list([]), 1_000), told([pause]), 1_200);
  expect([...known.ofNode]).toEqual([[2, [pause]]]);
  expect([...takeFault(known, told([]), 1_300).ofNode]).toEqual([]);
});

test("[PAGE-8] a list that was requested before an event does not undo it, a later one does", () => {
  const known = takeFault(takeList(FAULTS_UNKNOWN, list([]), 1_000), told([pause]), 1_200);
  expect([...takeList(known, list([]), 1_100).ofNode.keys()]).toEqual([2]);
  expect([...takeList(known, list([]), 1_300).ofNode.keys()]).toEqual([]);
});

test("[PAGE-8] an equal list causes no redraw, and there is no list if faults are off", () => {
  const known = takeList(FAULTS_UNKNOWN, list([pause]), 1_000);
  expect(takeList(known, list([pause]), 2_000)).toBe(known);
  const off = takeList(known, "off", 3_000);
  expect([off.state, takeFault(off, told([pause]), 4_000)]).toEqual(["off", off]);
});

test("[PAGE-8] a fault is shown in the log, and does not count as a message of its node", () => {
  expect(describeEvent({ ...told([pause]), began: "pause" })).toBe("pause begins: paused, 5 s left");
  expect(describeEvent({ ...told([]), ended: ["pause"] })).toBe("pause ended");
  const asleep = ensembleOf({ quiet: true });
  expect(foldEvent(asleep, told([pause]))).toBe(asleep);
});

test("[PAGE-8] a fault of a broker is shown by event too, separately from the node with its number", () => {
  const known = takeList(FAULTS_UNKNOWN, list([]), 1_000);
  const kill: FaultView = { fault: "kill", remainingMs: null };
  const event = eventOf({ sid: 0, broker: 2, type: "fault", faults: [kill] });
  const killed = takeFault(known, event, 1_200);
  expect([[...killed.ofBroker], [...killed.ofNode]]).toEqual([[[2, [kill]]], []]);
  expect(describeEvent(event)).toBe("broker 2: killed, until it is revived");
  const none = { ...list([]), brokers: [{ id: 2, up: true, faults: [] }] };
  expect([...takeList(killed, none, 1_100).ofBroker.keys()]).toEqual([2]);
  expect([...takeList(killed, none, 1_300).ofBroker.keys()]).toEqual([]);
});
