/**
 * The decisions of the controller, as a pure function from the cluster view to the next znode writes. Every write is a
 * multi under `check(/controller_epoch)`, so that a deposed controller changes nothing; every change of a state znode is
 * conditional on the version that was read. After a write the caller reads the view again and repeats; when nothing is left
 * to write, {@link announcements} returns the leaderships to send to the partitions' objects.
 *
 * While a partition has one log that belongs to no broker, any live broker may lead it: the first assigned replica that
 * is live, else the live broker with the lowest id. Leadership moves only when the leader is gone.
 *
 * @source Kafka 3.9 `KafkaController`, `Election.scala`, `PartitionStateMachine`
 */
import type { MultiRequestOp } from "../znode/types.ts";
import type { Leadership } from "./partition.ts";
import {
  createRequest,
  deleteTopicPath,
  encodeState,
  PATHS,
  type PartitionStateData,
  partitionPath,
  partitionsPath,
  statePath,
  type TopicAssignment,
  topicConfigPath,
  topicPath,
} from "./znodes.ts";

/** A state znode as it was read. */
export interface VersionedState extends PartitionStateData {
  /** partition epoch */
  readonly version: number;
}

/** A topic, as the controller sees it. */
export interface TopicView extends TopicAssignment {
  readonly name: string;
  /** *map partition → its state*; no entry if it has none yet */
  readonly states: ReadonlyMap<number, VersionedState>;
  /** `/brokers/topics/T/partitions` exists */
  readonly partitionsExist: boolean;
  /** partitions whose parent znode exists */
  readonly partitionZnodes: readonly number[];
  readonly hasConfig: boolean;
}

/** The cluster, as the controller sees it. */
export interface ControllerView {
  readonly controllerEpoch: number;
  /** version of `/controller_epoch` under which this controller was elected */
  readonly controllerEpochVersion: number;
  /** ids of the brokers that are registered, ascending */
  readonly live: readonly number[];
  readonly topics: readonly TopicView[];
  /** topics whose deletion is requested */
  readonly deleting: readonly string[];
}

/** A topic whose partition objects must be emptied before its znodes are deleted. */
export interface Removal {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: readonly number[];
}

/** One multi, with the removal that must precede it. */
export interface ControllerWrite {
  readonly ops: readonly MultiRequestOp[];
  readonly removal?: Removal;
}

/** The leader of a partition; undefined if no broker is live. */
export function electLeader(replicas: readonly number[], live: readonly number[]): number | undefined {
  return replicas.find((id) => live.includes(id)) ?? live[0];
}

/** The ISR: the live assigned replicas and the leader, which all share one log. */
function isrOf(replicas: readonly number[], live: readonly number[], leader: number): readonly number[] {
  const isr = replicas.filter((id) => live.includes(id));
  return isr.includes(leader) ? isr : [leader, ...isr];
}

const sameIds = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

/** The state that a partition should have; undefined if it already has it. */
export function nextState(
  replicas: readonly number[],
  now: PartitionStateData | undefined,
  view: Pick<ControllerView, "live" | "controllerEpoch">,
): PartitionStateData | undefined {
  const { live, controllerEpoch } = view;
  if (live.length === 0) return undefined;
  if (now !== undefined && live.includes(now.leader)) {
    const isr = isrOf(replicas, live, now.leader);
    return sameIds(isr, now.isr) ? undefined : { ...now, controllerEpoch, isr };
  }
  const leader = electLeader(replicas, live);
  if (leader === undefined) return undefined;
  return {
    leader,
    leaderEpoch: (now?.leaderEpoch ?? -1) + 1,
    controllerEpoch,
    isr: isrOf(replicas, live, leader),
  };
}

/** The ops that give one partition its next state; empty if it already has it. */
function partitionOps(view: ControllerView, topic: TopicView, partition: number): MultiRequestOp[] {
  const now = topic.states.get(partition);
  const next = nextState(topic.partitions.get(partition) ?? [], now, view);
  if (next === undefined) return [];
  const data = encodeState(next);
  const path = statePath(topic.name, partition);
  if (now !== undefined) return [{ type: "setData", path, data, version: now.version }];
  const parent = topic.partitionZnodes.includes(partition)
    ? []
    : [createRequest(partitionPath(topic.name, partition), null)];
  return [...parent, createRequest(path, data)];
}

/** The ops that delete a topic's znodes, leaves first. */
function deletionOps(name: string, topic: TopicView | undefined): MultiRequestOp[] {
  const remove = (path: string): MultiRequestOp => ({ type: "delete", path, version: -1 });
  if (topic === undefined) return [remove(deleteTopicPath(name))];
  return [
    ...[...topic.states.keys()].map((partition) => remove(statePath(name, partition))),
    ...topic.partitionZnodes.map((partition) => remove(partitionPath(name, partition))),
    ...(topic.partitionsExist ? [remove(partitionsPath(name))] : []),
    remove(topicPath(name)),
    ...(topic.hasConfig ? [remove(topicConfigPath(name))] : []),
    remove(deleteTopicPath(name)),
  ];
}

/**
 * The writes that bring the znodes from `view` to their target state, in order; empty if they have it. Each is one multi
 * under the controller's epoch, of at most `partitionsPerMulti` partitions.
 */
export function planController(view: ControllerView, partitionsPerMulti: number): readonly ControllerWrite[] {
  const check: MultiRequestOp = {
    type: "check",
    path: PATHS.controllerEpoch,
    version: view.controllerEpochVersion,
  };
  const writes: ControllerWrite[] = [];
  for (const name of view.deleting) {
    const topic = view.topics.find((each) => each.name === name);
    const ops = [check, ...deletionOps(name, topic)];
    if (topic === undefined) writes.push({ ops });
    else
      writes.push({
        ops,
        removal: { topic: name, topicId: topic.topicId, partitions: [...topic.partitions.keys()] },
      });
  }
  let ops: MultiRequestOp[] = [];
  let partitions = 0;
  const flush = (): void => {
    if (ops.length > 0) writes.push({ ops: [check, ...ops] });
    ops = [];
    partitions = 0;
  };
  for (const topic of view.topics) {
    if (view.deleting.includes(topic.name) || topic.partitions.size === 0) continue;
    const changes = [...topic.partitions.keys()].flatMap((partition) => {
      const change = partitionOps(view, topic, partition);
      return change.length === 0 ? [] : [change];
    });
    if (changes.length === 0) continue;
    if (!topic.partitionsExist) ops.push(createRequest(partitionsPath(topic.name), null));
    for (const change of changes) {
      if (partitions === partitionsPerMulti) flush();
      ops.push(...change);
      partitions += 1;
    }
  }
  flush();
  return writes;
}

/** The leaderships of all partitions that have a leader, to be sent to their objects. */
export function announcements(view: ControllerView): readonly Leadership[] {
  return view.topics.flatMap((topic) => {
    if (view.deleting.includes(topic.name)) return [];
    return [...topic.states].flatMap(([partition, state]) => {
      const replicas = topic.partitions.get(partition);
      if (replicas === undefined || state.leader < 0) return [];
      const { leader, leaderEpoch, isr } = state;
      const controllerEpoch = view.controllerEpoch;
      return [
        {
          topic: topic.name,
          topicId: topic.topicId,
          partition,
          leader,
          leaderEpoch,
          controllerEpoch,
          replicas,
          isr,
        },
      ];
    });
  });
}

/**
 * Spreads the partitions of a new topic over the live brokers: replicas in a ring, the leaders one after the other.
 * @param start first broker of the ring, so that not all topics begin at the same broker
 */
export function assignReplicas(
  live: readonly number[],
  partitions: number,
  replicationFactor: number,
  start: number,
): ReadonlyMap<number, readonly number[]> {
  const assignment = new Map<number, readonly number[]>();
  for (let partition = 0; partition < partitions; partition++) {
    const replicas = Array.from(
      { length: Math.min(replicationFactor, live.length) },
      (_, i) => live[(start + partition + i) % live.length],
    );
    assignment.set(
      partition,
      replicas.filter((id) => id !== undefined),
    );
  }
  return assignment;
}
