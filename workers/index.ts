/** The Worker's entry: the API, and the classes of the Durable Objects. */
import { app } from "./api/app.ts";

export { Broker } from "../durable-objects/broker/broker.ts";
export { TopicPartition } from "../durable-objects/topic-partition/topic-partition.ts";
export { ZooWeeperNode } from "../durable-objects/zooweeper-node/zooweeper-node.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
