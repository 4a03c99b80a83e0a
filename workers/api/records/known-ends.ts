/**
 * Ends of partitions as far as this isolate knows them, from answers to appends and reads; a hint, neither exact nor
 * complete. A stream whose tail stays behind it has a broken tail: the platform answers beats for a partition that
 * hibernates, and in a local run it still does so after the object was aborted.
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

/** The known end of a partition; 0 if nothing is known. */
export const knownEnd = (topicId: string, partition: number): number =>
  ends.get(keyOf(topicId, partition)) ?? 0;
