/** States and events for the tests of the page. */
import type { EnsembleState, NodeUp, ProtocolEvent } from "../../../web/src/api/types.ts";

/** A follower of node 2 in epoch 4. */
export const nodeUp = (sid: number, fields: Partial<NodeUp> = {}): NodeUp => ({
  ensemble: "default",
  size: 3,
  sid,
  up: true,
  role: "FOLLOWING",
  phase: "BROADCAST",
  leader: 2,
  acceptedEpoch: 4,
  currentEpoch: 4,
  lastZxid: "0x400000011",
  committedZxid: "0x400000011",
  appliedZxid: "0x400000011",
  digest: "0",
  activeSet: [],
  boot: 1,
  sessions: 0,
  znodes: 4,
  watches: 0,
  elections: 1,
  serving: true,
  quiet: false,
  quietSince: null,
  counters: { requests: 0, alarms: 0, logRows: 0, checkpointRows: 0, metaRows: 0, rowsRead: 0 },
  pings: [],
  ...fields,
});

/** Three nodes, of which node 2 leads. */
export const ensembleOf = (fields: Partial<EnsembleState> = {}): EnsembleState => ({
  ensemble: "default",
  size: 3,
  quorum: 2,
  hasQuorum: true,
  leader: 2,
  epoch: 4,
  reason: null,
  quiet: false,
  quietSince: null,
  nodes: [nodeUp(1), nodeUp(2, { role: "LEADING", activeSet: [1, 2, 3] }), nodeUp(3)],
  ...fields,
});

export const eventOf = (fields: Partial<ProtocolEvent>): ProtocolEvent => ({
  id: "1-1",
  at: 0,
  sid: 1,
  type: "role",
  ...fields,
});
