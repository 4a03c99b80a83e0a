import { expect, it } from "vitest";
import { summarise } from "../../../workers/api/ensemble/quorum.ts";
import type { NodeView } from "../../../workers/api/schema/views.ts";

const node = (sid: number, fields: object = {}): NodeView =>
  ({
    sid,
    up: true,
    role: "LOOKING",
    serving: false,
    leader: null,
    currentEpoch: 4,
    quiet: false,
    ...fields,
  }) as NodeView;

it("[ZAB-123] the ensemble reports which trees differ while its leader waits for a quorum to confirm one", () => {
  const reason = "the tree here differs from that of node 2, and no quorum has confirmed either";
  const nodes = [
    { sid: 1, up: false } as NodeView,
    node(2, { role: "FOLLOWING", leader: 3, reason: "waits" }),
    node(3, { role: "LEADING", leader: 3, reason }),
  ];
  expect(summarise("default", nodes)).toMatchObject({
    hasQuorum: false,
    reason: `node 3 is elected and waits: ${reason}`,
  });
});

it("[NODE-52] the ensemble names the damage of a majority, and no node's reason advises to delete anything", () => {
  const nodes = [
    node(1, { damage: "log row 7", reason: "its storage was damaged (log row 7)", quarantined: true }),
    { sid: 2, up: false, damage: "the database (malformed)", reason: "delete the file" } as NodeView,
    node(3),
  ];
  const answer = summarise("default", nodes);
  expect(answer.hasQuorum).toBe(false);
  for (const part of ["2 of 3 nodes", "node 1: log row 7", "node 2: the database (malformed)", "quarantine_"])
    expect(answer.reason).toContain(part);
  expect(JSON.stringify(answer.nodes)).not.toContain("delete the file");
  // One damaged node is repaired from the others, and the others may just be electing.
  const one = summarise("default", [nodes[0] as NodeView, node(2), node(3)]);
  expect(one.reason).toBe("3 of 3 nodes are up and elect a leader");
  expect(one.nodes[0]).toMatchObject({ reason: "its storage was damaged (log row 7)" });
});

it("[NODE-52] the ensemble reports that a damaged node does not count while a whole one is down", () => {
  const damaged = node(1, { damage: "log row 7", reason: "its storage was damaged (log row 7)" });
  const down = { sid: 3, up: false } as NodeView;
  const { reason } = summarise("default", [damaged, node(2), down]);
  for (const part of [
    "2 of 3 nodes are up",
    "storage of node 1 was damaged",
    "2 nodes that are whole are needed",
  ])
    expect(reason).toContain(part);
  expect(summarise("default", [damaged, down, down]).reason).toBe("1 of 3 nodes is up, 2 are needed");
});

it("[ZAB-127] a node of a version without reasons is summarized as before", () => {
  const nodes = [node(1), node(2), { sid: 3, up: false } as NodeView];
  expect(summarise("default", nodes).reason).toBe("2 of 3 nodes are up and elect a leader");
});
