import { describe, expect, test } from "vitest";
import type { ClusterReadResult } from "../../../core/broker/cluster-read.ts";
import { encodeJson } from "../../../core/broker/json-text.ts";
import {
  type ClientsChange,
  DEMO_PATHS,
  type DemoAnswer,
  type DemoRows,
  readDemoRows,
  recordClients,
  renderDemoMetadata,
} from "../../../core/demo/metadata.ts";
import { brokerPorts, isListedBy, namesABroker, receiverOf } from "../../../core/demo/ports.ts";
import { zxid } from "../../../core/zab/zxid.ts";
import { NO_SESSION, type Stat } from "../../../core/znode/types.ts";

const stat = (version: number, counter: number): Stat => ({
  czxid: zxid(1, counter),
  mzxid: zxid(1, counter),
  pzxid: zxid(1, counter),
  ctime: 1,
  mtime: 5,
  version,
  cversion: 0,
  aversion: 0,
  ephemeralOwner: NO_SESSION,
  dataLength: 0,
  numChildren: 0,
});

type Znodes = Map<string, { data: Uint8Array | null; version: number; czxid: number }>;

/** The rows as the znodes have them. */
function rowsIn(znodes: Znodes): DemoRows {
  const steps = readDemoRows();
  let step = steps.next();
  while (!step.done) {
    const results = step.value.map(({ type, path }): ClusterReadResult => {
      const znode = znodes.get(path);
      if (type === "getData")
        return znode && { data: znode.data, children: [], stat: stat(znode.version, znode.czxid) };
      const children = [...znodes.keys()].filter((key) => key.startsWith(`${path}/`));
      return { data: null, children: children.map((key) => key.slice(path.length + 1)), stat: stat(0, 1) };
    });
    step = steps.next(results);
  }
  return step.value;
}

/** Carries a multi of {@link recordClients} out, or refuses it as the ensemble would. */
function write(
  znodes: Znodes,
  ops: readonly { type: string; path: string; version?: number; data?: unknown }[],
) {
  for (const { type, path, version = -1 } of ops) {
    const known = znodes.get(path);
    if (type === "create" && known !== undefined) return "NODE_EXISTS";
    if (type === "create" ? !znodes.has(path.slice(0, path.lastIndexOf("/"))) : known === undefined)
      return "NO_NODE";
    if (version >= 0 && known?.version !== version) return "BAD_VERSION";
  }
  for (const { type, path, data } of ops) {
    const known = znodes.get(path);
    if (type === "check") continue;
    const version = known === undefined ? 0 : known.version + 1;
    znodes.set(path, { data: data as Uint8Array | null, version, czxid: known?.czxid ?? znodes.size });
  }
  return "OK";
}

/** @param before what others do before each write */
function record(
  znodes: Znodes,
  known: DemoRows | undefined,
  change: Partial<ClientsChange>,
  before = () => {},
) {
  const steps = recordClients(known, {
    sender: "9090",
    receiver: "8081",
    clients: "",
    otherwise: "9090,9091,9092",
    nowMs: 7,
    ...change,
  });
  let step = steps.next();
  let writes = 0;
  while (!step.done) {
    let answer: DemoAnswer;
    if (step.value.type === "read") answer = rowsIn(znodes);
    else {
      const { request } = step.value;
      before();
      writes += 1;
      answer = write(znodes, (request.type === "multi" ? request.ops : [request]) as never);
    }
    step = steps.next(answer);
  }
  return { recorded: step.value, writes };
}

const founded = (): Znodes =>
  new Map(
    ["/zooweeper", DEMO_PATHS.root, DEMO_PATHS.brokers].map((path, i) => [
      path,
      { data: null, version: 0, czxid: i },
    ]),
  );

describe("demo metadata", () => {
  test("[DEMO-1] the ensemble's entry precedes the rows, which have the fields of the original in one order", () => {
    const znodes = founded();
    record(znodes, undefined, { sender: "9091", clients: "9090,9091" });
    expect(renderDemoMetadata(2, 3, rowsIn(znodes))).toBe(
      '[{"NodeId":"1","NodePort":"8081","Leader":"8081","Servers":"8080,8081,8082","Timestamp":0,"Version":0,' +
        '"ParentId":0,"Clients":"","SenderIp":"","ReceiverIp":""},' +
        '{"NodeId":"2","NodePort":"","Leader":"","Servers":"","Timestamp":7,"Version":0,"ParentId":1,' +
        '"Clients":"9090,9091","SenderIp":"9091","ReceiverIp":"8081"}]',
    );
  });

  test("[DEMO-8] a change of a sender's clients adds a row, the same clients add none", () => {
    const znodes = founded();
    const first = record(znodes, undefined, { clients: "9090,9091,9092" });
    const second = record(znodes, first.recorded?.rows, { clients: "9090,9091,9092" });
    expect(second.writes).toBe(1);
    expect(second.recorded?.rows).toBe(first.recorded?.rows);
    record(znodes, undefined, { sender: "9091" });
    record(znodes, second.recorded?.rows, { clients: "9090,9091", receiver: "8080" });
    record(znodes, undefined, { clients: "9090" });
    expect(
      rowsIn(znodes).rows.map(({ nodeId, parentId, senderIp, clients, version }) => [
        nodeId,
        parentId,
        senderIp,
        clients,
        version,
      ]),
    ).toEqual([
      [2, 1, "9090", "9090,9091,9092", 0],
      [3, 1, "9091", "9090,9091,9092", 0],
      [4, 2, "9090", "9090,9091", 1],
      [5, 2, "9090", "9090", 2],
    ]);
  });

  test("[DEMO-8] a goal without clients has those of its sender's last goal, else all brokers", () => {
    const znodes = founded();
    expect(record(znodes, undefined, {}).recorded?.clients).toBe("9090,9091,9092");
    record(znodes, undefined, { clients: "9090" });
    expect(record(znodes, undefined, {}).recorded?.clients).toBe("9090");
  });

  test("[DEMO-8] rows that changed in the meantime are read again, up to a limit", () => {
    const znodes = founded();
    const known = record(znodes, undefined, { clients: "9090" }).recorded?.rows;
    record(znodes, undefined, { sender: "9091" });
    const late = record(znodes, known, { clients: "9090,9092" });
    expect(late.recorded?.rows.rows).toHaveLength(3);
    expect(late.writes).toBe(2);
    const busy = () =>
      void znodes.set(DEMO_PATHS.rows, { data: null, version: 1000 + Math.random(), czxid: 9 });
    expect(record(znodes, undefined, { clients: "9091" }, busy).recorded).toBeUndefined();
  });

  test("[DEMO-8] senders that an earlier version wrote become rows, in the order of their creation", () => {
    const znodes = founded();
    for (const [i, name] of ["9092", "9090"].entries())
      znodes.set(`${DEMO_PATHS.brokers}/${name}`, {
        data: encodeJson({ Clients: "9090" }),
        version: 8,
        czxid: 10 + i,
      });
    const { recorded } = record(znodes, undefined, { clients: "9090,9091" });
    expect(recorded?.rows.rows.map(({ nodeId, senderIp, version }) => [nodeId, senderIp, version])).toEqual([
      [2, "9092", 0],
      [3, "9090", 0],
      [4, "9090", 1],
    ]);
    expect(rowsIn(znodes)).toEqual(recorded?.rows);
  });

  test("[DEMO-8] the oldest rows are removed when all of them grow too large, and NodeIds are never reused", () => {
    const znodes = founded();
    let known: DemoRows | undefined;
    for (let i = 0; i < 400; i++)
      known = record(znodes, known, { clients: `${i},`.padEnd(1000, "9") }).recorded?.rows;
    expect(znodes.get(DEMO_PATHS.rows)?.data?.length).toBeLessThanOrEqual(256 * 1024);
    expect(known?.rows.at(-1)).toMatchObject({ nodeId: 401, parentId: 2, version: 399 });
    expect(known?.rows[0]?.nodeId).toBeGreaterThan(2);
  });

  test("[DEMO-8] invalid rows are left out", () => {
    const znodes = founded();
    const rows = [
      null,
      5,
      { nodeId: "2" },
      { nodeId: 7, parentId: 1, version: 0, timestampMs: 1, senderIp: "a" },
    ];
    znodes.set(DEMO_PATHS.rows, { data: encodeJson({ nextNodeId: "x", rows }), version: 3, czxid: 9 });
    expect(rowsIn(znodes)).toEqual({ rows: [], nextNodeId: 2, version: 3 });
  });

  test("[DEMO-3] a receiver is read as the original reads it: its leading digits, else the first node", () => {
    expect(receiverOf("8080", 3)).toBe(1);
    expect(receiverOf("8082", 3)).toBe(3);
    expect(receiverOf(" 8081abc", 3)).toBe(2);
    for (const other of ["8083", "8079", "", "test", "80800", "-8080", "0x1f90"])
      expect(receiverOf(other, 3), other).toBe(1);
    expect(brokerPorts(3)).toBe("9090,9091,9092");
  });

  test("[DEMO-4] the ports of Clients list a goal; without the header every broker does", () => {
    expect(isListedBy("9090, 9091", 9091)).toBe(true);
    expect(isListedBy("9090,9091", 9092)).toBe(false);
    expect(isListedBy("19090", 9090)).toBe(false);
    expect(isListedBy(null, 9092)).toBe(true);
    expect(namesABroker("29090, 9092", 3)).toBe(true);
    expect(namesABroker("", 3)).toBe(true);
    expect(namesABroker("29090,9093", 3)).toBe(false);
  });
});
