/**
 * Ends of partitions as known to this isolate from answers to appends and reads; hints that are neither exact nor complete.
 * A stream that stays below the known end has a broken tail, which beats do not reveal: the platform answers them for a
 * hibernating partition, and in a local run also after the object was aborted.
 */

import { KNOWN_ENDS_MAX } from "../config.ts";

const ends = new Map<string, number>();

const keyOf = (topicId: string, partition: number): string => `${topicId}/${partition}`;

/** Records that the partition has all records below `offset`. */
export function noteEnd(topicId: string, partition: number, offset: number): void {
  const key = keyOf(topicId, partition);
  const known = ends.get(key);
  if (known !== undefined && known >= offset) return;
  if (known === undefined && ends.size >= KNOWN_ENDS_MAX) ends.clear();
  ends.set(key, offset);
}

/** The known end of a partition; 0 if nothing is known. */
export const knownEnd = (topicId: string, partition: number): number =>
  ends.get(keyOf(topicId, partition)) ?? 0;
