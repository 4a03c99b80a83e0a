/**
 * The goals of the demo: one topic with one partition. A goal carries the ports of the brokers that list it in the
 * header `Clients`, so one log serves every broker, and a change of clients does not affect earlier goals.
 */
import type { Context } from "hono";
import type { AppendResult } from "../../../core/broker/partition.ts";
import { brokerPorts, isListedBy, namesABroker } from "../../../core/demo/ports.ts";
import {
  decodeBatches,
  encodeRecordBatch,
  type OffsetRecord,
} from "../../../core/wire/record-batch-codec.ts";
import type { AppEnv } from "../app-env.ts";
import { PartitionClient, type Placed } from "../clients/partition-client.ts";
import { GOALS_MAX, GOALS_READ_BYTES } from "../config.ts";
import { ApiError, badArguments } from "../http/errors.ts";
import { readJson } from "../http/strict-json.ts";
import { keyOf } from "../records/idempotency.ts";
import type { Goal } from "../schema/views.ts";
import { brokersOf } from "../topics/routes.ts";

/** Name of the topic. */
export const GOALS_TOPIC = "goals";
const PARTITION = 0;
const CLIENTS_HEADER = "Clients";

const encoder = new TextEncoder();

/** Refuses a goal that no broker would list. @throws ApiError BAD_ARGUMENTS */
export function requireListed(c: Context<AppEnv>, clients: string): void {
  const { count } = brokersOf(c);
  if (namesABroker(clients, count)) return;
  const ports = brokerPorts(count).replaceAll(",", ", ");
  throw badArguments(
    `Clients "${clients}" names no broker of this cluster: they are ${ports}, wherever they answer`,
  );
}

/** Creates the topic unless it exists. */
export async function createGoals(c: Context<AppEnv>): Promise<void> {
  try {
    await brokersOf(c).any((broker) => broker.createTopic({ name: GOALS_TOPIC, partitions: 1 }));
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "TOPIC_ALREADY_EXISTS")) throw error;
  }
}

/**
 * Stores a goal.
 * @param clients ports of the brokers that list it, separated by commas
 * @param meaning values that a retry under the same Idempotency-Key must repeat besides the goal; broker and node are not
 * among them, so a retry may use others
 * @param placed the partition, if the caller has found it already
 */
export async function appendGoal(
  c: Context<AppEnv>,
  goal: Goal,
  clients: string,
  meaning: Readonly<Record<string, string>>,
  placed?: Placed,
): Promise<Extract<AppendResult, { ok: true }>> {
  const value = encoder.encode(JSON.stringify(goal));
  const headers = [{ key: CLIENTS_HEADER, value: encoder.encode(clients) }];
  const key = await keyOf(c, value, meaning);
  const batches = encodeRecordBatch([{ key: null, value, headers, timestampMs: Date.now() }]);
  const append = { batches, ...(key === undefined ? {} : { key }) };
  return new PartitionClient(brokersOf(c)).append(GOALS_TOPIC, PARTITION, append, placed);
}

/** The goals that the broker on `port` lists, ordered by minute, then by offset. */
export async function goalsOf(c: Context<AppEnv>, port: number): Promise<readonly Goal[]> {
  const partitions = new PartitionClient(brokersOf(c));
  const found: Goal[] = [];
  let offset = 0;
  try {
    for (;;) {
      const read = await partitions.read(GOALS_TOPIC, PARTITION, {
        from: { type: "offset", offset },
        bytesMax: GOALS_READ_BYTES,
        waitMs: 0,
      });
      const records = decodeBatches(read.batches, offset);
      for (const record of records) {
        const goal = isListedBy(clientsOf(record), port) ? goalOf(record.value) : undefined;
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

/** Null if the record does not say which brokers list it: it was produced to the topic's own routes. */
function clientsOf({ headers }: OffsetRecord): string | null {
  const header = headers.find(({ key }) => key === CLIENTS_HEADER);
  // lossy decoding: a text that is not a list of ports names no broker
  return header === undefined ? null : new TextDecoder().decode(header.value ?? new Uint8Array());
}

/** Every client may produce to the topic: records that are not goals are skipped. */
function goalOf(value: Uint8Array | null): Goal | undefined {
  if (value === null) return undefined;
  try {
    // a record whose numbers cannot be represented exactly is not a goal either
    const { Minute, Player, Club, Score } = readJson(value) as Partial<Goal>;
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
