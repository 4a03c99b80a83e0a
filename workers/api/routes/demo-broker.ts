/** `/demo/brokers/{j}`: what the demo's broker ports answer. Broker j of the demo has id j and port 9090 + j. */
import { type Context, Hono } from "hono";
import { nodePort, sidOfPort } from "../../../core/broker/demo-metadata.ts";
import { decodeBatches, encodeRecordBatch } from "../../../core/wire/record-batch-codec.ts";
import type { DemoMetadataAnswer, DemoMetadataRequest } from "../../../durable-objects/broker/rpc.ts";
import type { BrokerClient } from "../clients/broker-client.ts";
import { keyOf } from "../clients/idempotency.ts";
import { withTimeout } from "../clients/node-stub.ts";
import { PartitionClient } from "../clients/partition-client.ts";
import type { AppEnv } from "../env.ts";
import { ApiError, badArguments } from "../errors.ts";
import { parseInteger } from "../params.ts";
import { jsonBody } from "../schema/json-body.ts";
import { addScoreBody } from "../schema/records.ts";
import { brokersOf } from "./topics.ts";

const TOPIC = "goals";
const PARTITION = 0;
/** Wait for a broker to say that it lives. */
const PONG_MS = 1_000;
/** Goals in one answer of `/data`, and bytes of one read. */
const GOALS_MAX = 100_000;
const READ_BYTES = 1024 * 1024;

/** A goal in the shape, and with the order of keys, that the demo has always had. */
interface Goal {
  readonly Minute: number;
  readonly Player: string;
  readonly Club: string;
  readonly Score: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const demoBrokerApp = new Hono<AppEnv>()
  .get("/demo/brokers/:j", pong)
  .get("/demo/brokers/:j/", pong)
  .post("/demo/brokers/:j/addScore", jsonBody(addScoreBody), async (c) => {
    const { metadata, gameResults } = c.req.valid("json");
    const { Minute, Player, Club, Score } = gameResults;
    const goal: Goal = { Minute, Player, Club, Score };
    const value = encoder.encode(JSON.stringify(goal));
    const receiver = await receiverOf(c, metadata.ReceiverIp);
    // not the broker nor the node: a goal is the same one by whichever way it is sent again
    const key = await keyOf(c, value, { route: "addScore", clients: metadata.Clients });
    const brokers = brokersOf(c);
    const partitions = new PartitionClient(brokers);
    const id = brokerOf(c);
    // A retry writes the metadata once more, which says the same; the partition knows the goal by its key.
    const written = await recordMetadata(brokers, id, { receiver, clients: metadata.Clients, topic: TOPIC });
    const partition = written.topic.partitions.find((each) => each.partition === PARTITION);
    const placed = partition && { topic: written.topic, partition };
    const batches = encodeRecordBatch([{ key: null, value, headers: [], timestampMs: Date.now() }]);
    const appended = await partitions.append(
      TOPIC,
      PARTITION,
      { batches, ...(key === undefined ? {} : { key }) },
      placed,
    );
    if (appended.replayed) c.header("idempotency-replayed", "true");
    return c.text("OK", 200, {
      "zoo-receiver": `${nodePort(written.receiver)}`,
      "zoo-offset": `${appended.baseOffset}`,
    });
  })
  .get("/demo/brokers/:j/data", async (c) => {
    await requireUp(c);
    return c.json(await goals(c), 200, { "cache-control": "no-store" });
  });

async function pong(c: Context<AppEnv>): Promise<Response> {
  await requireUp(c);
  return c.text("pong");
}

/** A call that broke has stored no goal, so it may be sent again even without a key. */
async function recordMetadata(
  brokers: BrokerClient,
  id: number,
  request: DemoMetadataRequest,
): Promise<DemoMetadataAnswer> {
  try {
    return await brokers.at(id, (broker) => broker.demoMetadata(request));
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "UNKNOWN_OUTCOME")) throw error;
    throw new ApiError("BROKER_NOT_AVAILABLE", error.message);
  }
}

/** The broker of the URL. */
const brokerOf = (c: Context<AppEnv>): number => parseInteger("broker", c.req.param("j") ?? "", 0, 99);

async function isUp(c: Context<AppEnv>, id: number): Promise<boolean> {
  const brokers = brokersOf(c);
  const broker = brokers.broker(id);
  await brokers.wake();
  try {
    await withTimeout(broker.status(), PONG_MS);
    return true;
  } catch {
    return false;
  }
}

async function requireUp(c: Context<AppEnv>): Promise<void> {
  if (!(await isUp(c, brokerOf(c))))
    throw new ApiError("BROKER_NOT_AVAILABLE", `broker ${brokerOf(c)} is down`);
}

/** The node that gets the metadata. Without a port it is the broker's own choice, the first. */
async function receiverOf(c: Context<AppEnv>, port: string): Promise<number> {
  if (port === "") return 1;
  const size = await c.var.zoo.size();
  const sid = sidOfPort(port, size);
  if (sid !== undefined) return sid;
  throw badArguments(`metadata.ReceiverIp is a node's port, ${nodePort(1)} to ${nodePort(size)}`);
}

/** All goals by minute; those of one minute in the order in which they were stored. */
async function goals(c: Context<AppEnv>): Promise<readonly Goal[]> {
  const partitions = new PartitionClient(brokersOf(c));
  const found: Goal[] = [];
  let offset = 0;
  try {
    for (;;) {
      const read = await partitions.read(TOPIC, PARTITION, {
        from: { type: "offset", offset },
        bytesMax: READ_BYTES,
        waitMs: 0,
      });
      const records = decodeBatches(read.batches, offset);
      for (const { value } of records) {
        const goal = goalOf(value);
        if (goal !== undefined) found.push(goal);
      }
      const last = records.at(-1);
      if (last === undefined || last.offset + 1 >= read.highWatermark || found.length >= GOALS_MAX) break;
      offset = last.offset + 1;
    }
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "UNKNOWN_TOPIC_OR_PARTITION")) throw error;
  }
  return found.sort((a, b) => a.Minute - b.Minute);
}

/** Anybody may produce to the topic: what is no goal is passed over. */
function goalOf(value: Uint8Array | null): Goal | undefined {
  if (value === null) return undefined;
  try {
    const { Minute, Player, Club, Score } = JSON.parse(decoder.decode(value)) as Partial<Goal>;
    if (
      typeof Minute !== "number" ||
      typeof Player !== "string" ||
      typeof Club !== "string" ||
      typeof Score !== "string"
    )
      return undefined;
    return { Minute, Player, Club, Score };
  } catch {
    return undefined;
  }
}
