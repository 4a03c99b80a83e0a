/** The goals of the original demo at a broker: the topic that they need, and their metadata in the ensemble. */
import type { BrokerLoop } from "../broker/broker-loop.ts";
import { metadataOf, type TopicMetadata } from "../broker/cluster-view.ts";
import type { BrokerConfig } from "../broker/config.ts";
import type { EnsembleSession } from "../broker/ensemble-session.ts";
import { failure, now, type Outcome, type Program } from "../broker/program.ts";
import { type BrokerOutcome, NOT_READY, type Topics } from "../broker/topics.ts";
import type { WriteRequest } from "../znode/types.ts";
import { SESSION_TRIES_MAX } from "./config.ts";
import {
  type DemoAnswer,
  type DemoRefusal,
  type DemoRows,
  isDemoRefusal,
  readDemoRows,
  recordClients,
} from "./metadata.ts";
import { brokerPort, brokerPorts, nodePort } from "./ports.ts";

/** A request to record a goal's metadata in the ensemble. */
export interface DemoMetadataRequest {
  /** the node that receives the write; another one while that is down */
  readonly receiver: number;
  /** ports of the brokers that list the goal, separated by commas; empty for those of this broker's earlier goals */
  readonly clients: string;
  /** the topic of the goal, created with one partition if it does not exist */
  readonly topic: string;
}

/** Answer to a goal's metadata. */
export interface DemoMetadataAnswer {
  /** the node that received the write */
  readonly receiver: number;
  /** ports of the brokers that list the goal; a broker of an earlier version omits them, which means those of the request */
  readonly clients?: string;
  readonly topic: TopicMetadata;
}

/** The interface of the demo to its broker. */
export interface DemoGoalsPorts {
  /** id of this broker, from 0 */
  readonly id: number;
  /** brokers of the cluster, dead ones included */
  readonly brokerCount: number;
  readonly config: BrokerConfig;
  readonly session: EnsembleSession;
  readonly loop: BrokerLoop;
  readonly topics: Topics;
}

/** Records the metadata of goals. Its state is a cache of the demo's rows, which a check in each write validates. */
export class DemoGoals {
  readonly #ports: DemoGoalsPorts;
  #rows: DemoRows | undefined;

  constructor(ports: DemoGoalsPorts) {
    this.#ports = ports;
  }

  /** Ensures that the topic exists, and records a goal's clients of its sender. */
  *metadata(request: DemoMetadataRequest): Program<BrokerOutcome<DemoMetadataAnswer>> {
    const topic = yield* this.#topic(request.topic);
    if (!topic.ok) return topic;
    const recorded = yield* this.#recordClients(request);
    if (!recorded.ok) return recorded;
    const { sid: receiver, clients } = recorded.value;
    return { ok: true, value: { receiver, clients, topic: topic.value } };
  }

  *#topic(name: string): Program<BrokerOutcome<TopicMetadata>> {
    const { loop, topics, config } = this.#ports;
    const view = yield* loop.waitFor((each) => each, config.readyDeadlineMs);
    if (view === undefined) return NOT_READY;
    const known = metadataOf(view).topics.find((topic) => topic.name === name);
    if (known?.partitions.every((partition) => partition.leader >= 0)) return { ok: true, value: known };
    if (known === undefined) {
      const created = yield* topics.create({ name, partitions: 1 });
      if (created.ok || created.code !== "TOPIC_ALREADY_EXISTS") return created;
    }
    return yield* topics.ready(name);
  }

  *#recordClients(
    request: DemoMetadataRequest,
  ): Program<Outcome<{ readonly sid: number; readonly clients: string }>> {
    const { id, brokerCount, session } = this.#ports;
    let sid = request.receiver;
    const steps = recordClients(this.#rows, {
      sender: `${brokerPort(id)}`,
      receiver: `${nodePort(request.receiver)}`,
      clients: request.clients,
      otherwise: brokerPorts(brokerCount),
      nowMs: yield* now(),
    });
    let step = steps.next();
    while (!step.done) {
      let answer: DemoAnswer;
      if (step.value.type === "read") {
        const read = yield* session.readAll(readDemoRows);
        if (!read.ok) return read;
        answer = read.value;
      } else {
        const written = yield* this.#write(step.value.request, sid);
        if (!written.ok) return written;
        ({ sid, answer } = written.value);
      }
      step = steps.next(answer);
    }
    if (step.value === undefined) return failure("BAD_VERSION", "the metadata changes too fast");
    this.#rows = step.value.rows;
    return { ok: true, value: { sid, clients: step.value.clients } };
  }

  /** Writes, and repeats the write under a new session if the session has expired. @returns refusals as answers */
  *#write(
    request: WriteRequest,
    prefer: number,
  ): Program<Outcome<{ readonly sid: number; readonly answer: "OK" | DemoRefusal }>> {
    const { session, loop, config } = this.#ports;
    for (let tries = 0; ; tries++) {
      const written = yield* session.write(request, prefer);
      if (written.ok) return { ok: true, value: { sid: written.value.sid, answer: "OK" } };
      if (isDemoRefusal(written.code)) return { ok: true, value: { sid: prefer, answer: written.code } };
      if (written.code !== "SESSION_EXPIRED" || tries === SESSION_TRIES_MAX) return written;
      yield* loop.waitFor((view) => view, config.readyDeadlineMs);
    }
  }
}
