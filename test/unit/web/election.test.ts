import { expect, test } from "vitest";
import { clockOf, framesOf, lastElection, stateBefore } from "../../../web/src/features/election/election.ts";
import { foldEvent } from "../../../web/src/features/ensemble/ensemble-view.ts";
import { ensembleOf, eventOf, nodeUp } from "./states.ts";

/** Node 2 has led; its links break at 1,000 ms, and node 3 takes over at 1,066. */
const EVENTS = [
  eventOf({ sid: 2, at: 100, role: "LEADING", phase: "BROADCAST", epoch: 4 }),
  eventOf({ sid: 1, at: 500, type: "commit", zxid: "0x400000001" }),
  eventOf({ sid: 1, at: 1_000, type: "link", to: 2, up: false }),
  eventOf({ sid: 3, at: 1_001, type: "link", to: 2, up: false }),
  eventOf({ sid: 1, at: 1_002, role: "LOOKING", phase: "ELECTION" }),
  eventOf({ sid: 3, at: 1_003, role: "LOOKING", phase: "ELECTION" }),
  eventOf({ sid: 1, at: 1_004, type: "vote", leader: 3 }),
  eventOf({ sid: 3, at: 1_004, type: "vote", leader: 3, zxid: "0x400000011" }),
  eventOf({ sid: 3, at: 1_040, role: "LEADING", phase: "DISCOVERY", epoch: 5 }),
  eventOf({ sid: 3, at: 1_066, role: "LEADING", phase: "BROADCAST", epoch: 5 }),
  eventOf({ sid: 1, at: 1_070, role: "FOLLOWING", phase: "BROADCAST", leader: 3, epoch: 5 }),
  eventOf({ sid: 1, at: 1_900, type: "ping", to: 3, rttMs: 2 }),
];

test("[PAGE-9] the last election is extracted from the events, in whatever order they arrived", () => {
  const election = lastElection([...EVENTS].reverse(), 3);
  expect(election).toMatchObject({ sinceMs: 1_000, untilMs: 1_066, leader: 3, epoch: 5, before: 2 });
  expect(election?.events.map(({ at }) => at)).toEqual([
    ...[1_000, 1_001, 1_002, 1_003, 1_004, 1_004, 1_040, 1_066, 1_070],
  ]);
});

test("[PAGE-9] an unfinished election does not count, and the one before it stays the last", () => {
  const again = [
    eventOf({ sid: 3, at: 60_000, role: "LOOKING", phase: "ELECTION" }),
    eventOf({ sid: 1, at: 60_001, type: "vote", leader: 1 }),
  ];
  expect(lastElection([...EVENTS, ...again], 3)).toMatchObject({ untilMs: 1_066 });
  expect(lastElection(again, 3)).toBeUndefined();
  expect(lastElection(EVENTS.slice(0, 2), 3)).toBeUndefined();
});

test("[PAGE-9] links to another node that broke long before are not its beginning", () => {
  const noise = eventOf({ sid: 3, at: 900, type: "link", to: 5, up: false });
  expect(lastElection([noise, ...EVENTS], 3)?.sinceMs).toBe(1_000);
});

test("[PAGE-9] the slow motion keeps the order, and no moment is too short or too long to follow", () => {
  const election = lastElection(EVENTS, 3);
  if (election === undefined) throw new Error("no election");
  const frames = framesOf(election);
  expect(frames.map(({ atMs }) => atMs)).toEqual([0, 1, 2, 3, 4, 40, 66, 70]);
  expect(frames.flatMap(({ events }) => events)).toEqual(election.events);
  for (const [i, frame] of frames.entries()) {
    const apart = frame.showMs - (frames[i - 1]?.showMs ?? frame.showMs - 700);
    expect(apart).toBeGreaterThanOrEqual(700);
    expect(apart).toBeLessThanOrEqual(3_000);
  }
});

test("[PAGE-9] a moment after the new leader is not shown as part of the election", () => {
  const election = lastElection(EVENTS, 3);
  if (election === undefined) throw new Error("no election");
  expect(framesOf(election).map(({ atMs }) => clockOf(election, atMs))).toEqual([
    ...[0, 1, 2, 3, 4, 40, 66].map((atMs) => `${atMs} of 66 ms`),
    "4 ms after its end",
  ]);
});

test("[PAGE-9] it is shown from the state before, in which the leader that has died leads", () => {
  const election = lastElection(EVENTS, 3);
  if (election === undefined) throw new Error("no election");
  const gone = { sid: 2, up: false, code: "NODE_DOWN", detail: "" } as const;
  const now = ensembleOf({ leader: 3, epoch: 5, nodes: [nodeUp(1), gone, nodeUp(3, { role: "LEADING" })] });
  const states = [stateBefore(election, now)];
  for (const event of election.events) states.push(foldEvent(states.at(-1) as (typeof states)[0], event));
  expect(states.map(({ leader }) => leader)).toEqual([2, 2, null, null, null, null, null, null, 3, 3]);
  expect(states[0]).toMatchObject({ epoch: 4, hasQuorum: true });
  expect(states[0]?.nodes.map((node) => (node.up ? node.lastZxid : null))).toEqual(["", "", "0x400000011"]);
  expect(states.at(-1)).toMatchObject({ epoch: 5, hasQuorum: true });
});

test("[PAGE-9] the time without a quorum is not part of the election that follows it", () => {
  // node 2, the leader, and node 1 are killed; node 3 looks once a second, in vain, until node 1 is revived
  const lonely = Array.from({ length: 14 }, (_, i) =>
    eventOf({ sid: 3, id: `4-${i}`, at: 1_000 + i * 1_000, type: "vote", leader: 3 }),
  );
  const events = [
    eventOf({ sid: 2, id: "4-0", at: 100, role: "LEADING", phase: "BROADCAST", epoch: 4 }),
    eventOf({ sid: 3, id: "4-100", at: 999, type: "link", to: 2, up: false }),
    ...lonely,
    eventOf({ sid: 1, id: "5-0", at: 14_600, role: "LOOKING", phase: "ELECTION" }),
    eventOf({ sid: 3, id: "4-101", at: 14_601, type: "link", to: 1, up: true }),
    eventOf({ sid: 1, id: "5-1", at: 14_602, type: "vote", leader: 3 }),
    eventOf({ sid: 3, id: "4-102", at: 14_640, role: "LEADING", phase: "BROADCAST", epoch: 5 }),
  ];
  const election = lastElection(events, 3);
  expect(election).toMatchObject({ lostMs: 999, untilMs: 14_640, before: 2 });
  expect(election?.sinceMs).toBeGreaterThanOrEqual(14_600);
  // the one that is left looks once, and again when the other is back, after a pause that no single election has
  const patient = events.filter((event) => !lonely.slice(1).includes(event));
  expect(lastElection(patient, 3)).toMatchObject({ lostMs: 999, untilMs: 14_640 });
  expect(lastElection(patient, 3)?.sinceMs).toBeGreaterThanOrEqual(14_600);
  // all were there, and cut off from each other until 9,000
  const cut = [1, 2, 3].flatMap((sid) =>
    Array.from({ length: 8 }, (_, i) =>
      eventOf({ sid, id: `4-${i}`, at: 1_000 + sid * 300 + i * 1_000, type: "vote", leader: sid }),
    ),
  );
  const healed = [
    eventOf({ sid: 2, id: "4-0", at: 100, role: "LEADING", phase: "BROADCAST", epoch: 4 }),
    eventOf({ sid: 2, id: "4-1", at: 1_200, role: "LOOKING", phase: "ELECTION" }),
    ...cut,
    eventOf({ sid: 3, id: "4-99", at: 9_000, type: "link", to: 2, up: true }),
    eventOf({ sid: 3, id: "4-100", at: 9_030, role: "LEADING", phase: "BROADCAST", epoch: 5 }),
  ];
  expect(lastElection(healed, 3)).toMatchObject({ sinceMs: 9_000, lostMs: 1_200, untilMs: 9_030 });
  // an election that is over in time is shown whole
  expect(lastElection(EVENTS, 3)).toMatchObject({ lostMs: 1_000, sinceMs: 1_000 });
});

test("[PAGE-9] a leader is without a quorum from when it has too few followers, not from when it steps down", () => {
  const events = [
    eventOf({ sid: 2, id: "4-0", at: 100, role: "LEADING", phase: "BROADCAST", epoch: 4 }),
    eventOf({ sid: 2, id: "4-1", at: 110, type: "active", sids: [1, 2] }),
    eventOf({ sid: 2, id: "4-2", at: 200, type: "active", sids: [2] }),
    eventOf({ sid: 2, id: "4-3", at: 300, type: "active", sids: [2, 3] }),
    eventOf({ sid: 2, id: "4-4", at: 5_000, type: "active", sids: [2] }),
    eventOf({ sid: 2, id: "4-5", at: 7_000, role: "LOOKING", phase: "ELECTION" }),
    eventOf({ sid: 2, id: "4-6", at: 7_400, type: "vote", leader: 2 }),
    eventOf({ sid: 1, id: "6-1", at: 9_000, role: "LOOKING", phase: "ELECTION" }),
    eventOf({ sid: 2, id: "4-7", at: 9_002, type: "vote", leader: 2 }),
    eventOf({ sid: 2, id: "4-8", at: 9_050, role: "LEADING", phase: "BROADCAST", epoch: 5 }),
  ];
  expect(lastElection(events, 3)).toMatchObject({ lostMs: 5_000, sinceMs: 9_000, untilMs: 9_050 });
});

test("[PAGE-9] a leader that was killed and revived did not step down when it was revived", () => {
  const events = [
    eventOf({ sid: 2, id: "4-0", at: 100, role: "LEADING", phase: "BROADCAST", epoch: 4 }),
    eventOf({ sid: 1, id: "4-1", at: 1_000, type: "link", to: 2, up: false }),
    eventOf({ sid: 1, id: "4-2", at: 1_001, role: "LOOKING", phase: "ELECTION" }),
    eventOf({ sid: 2, id: "6-1", at: 5_000, role: "LOOKING", phase: "ELECTION" }),
    eventOf({ sid: 1, id: "4-3", at: 5_010, type: "vote", leader: 2 }),
    eventOf({ sid: 2, id: "6-2", at: 5_050, role: "LEADING", phase: "BROADCAST", epoch: 5 }),
  ];
  expect(lastElection(events, 3)).toMatchObject({ lostMs: 1_000, sinceMs: 5_000, untilMs: 5_050 });
});
