/** The id of a merged event stream: the last event of each node, as `1:12-7,2:3-40` (sid:boot-seq). */

/** *map sid → id of the last event read from it* */
export type EventVector = ReadonlyMap<number, string>;

/** Parses the text of {@link formatVector}; undefined if it is not valid. */
export function parseVector(text: string): Map<number, string> | undefined {
  const vector = new Map<number, string>();
  if (text === "") return vector;
  for (const part of text.split(",")) {
    const match = /^([1-9]):(\d{1,15}-\d{1,15})$/.exec(part);
    if (match?.[1] === undefined || match[2] === undefined) return undefined;
    vector.set(Number(match[1]), match[2]);
  }
  return vector;
}

/** Sids ascending, so that equal vectors are equal texts. */
export function formatVector(vector: EventVector): string {
  return [...vector]
    .sort(([a], [b]) => a - b)
    .map(([sid, id]) => `${sid}:${id}`)
    .join(",");
}
