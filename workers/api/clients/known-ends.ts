/**
 * How far this isolate knows the partitions to reach: from answers to appends and reads. Nothing here has to be right or
 * complete. It tells a stream whose tail lags behind that the tail is broken: a partition may hibernate, so the
 * platform answers beats for it, and locally goes on to do so when the object was aborted.
 */

import { KNOWN_ENDS_MAX } from "../config.ts";

const ends = new Map<string, number>();

const keyOf = (topicId: string, partition: number): string => `${topicId}/${partition}`;

/** Notes that the partition has everything below `offset`. */
export function noteEnd(topicId: string, partition: number, offset: number): void {
  const key = keyOf(topicId, partition);
  const known = ends.get(key);
  if (known !== undefined && known >= offset) return;
  if (known === undefined && ends.size >= KNOWN_ENDS_MAX) ends.clear();
  ends.set(key, offset);
}

/** The offset up to which the partition is known to reach; 0 if nothing is known. */
export const knownEnd = (topicId: string, partition: number): number =>
  ends.get(keyOf(topicId, partition)) ?? 0;
