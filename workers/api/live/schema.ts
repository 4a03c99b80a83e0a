/** Frames of `/v1/live`: JSON text, one object per message. */
import * as v from "valibot";

const name = v.pipe(v.string(), v.regex(/^[\w-]{1,32}$/, "a channel is named by 1 to 32 of A-Z a-z 0-9 _ -"));
const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));

/** Frames of a client. */
export const liveFrame = v.union(
  [
    v.strictObject({
      subscribe: v.literal("events"),
      as: name,
      /** id of the last event read; absent: events from now on */
      since: v.optional(v.string(), ""),
      /** begin with the rare events that the nodes still have, as `history`, for nodes that are not in `since` */
      replay: v.optional(v.literal("rare")),
    }),
    v.strictObject({
      subscribe: v.literal("records"),
      as: name,
      topic: v.string(),
      partition: whole(0, 2 ** 31 - 1),
      /** the first record; absent: the next one that is stored */
      offset: v.optional(whole(0, Number.MAX_SAFE_INTEGER)),
      /** id of the last event read: the channel continues after it, and `offset` is ignored */
      since: v.optional(v.string()),
    }),
    v.strictObject({ unsubscribe: name }),
    /** the client is alive, has read so many characters since its last beat, and has read up to this mark */
    v.strictObject({
      beat: whole(0, Number.MAX_SAFE_INTEGER),
      mark: v.optional(v.pipe(v.string(), v.maxLength(64))),
    }),
  ],
  'a frame is {"subscribe":"events","as"}, {"subscribe":"records","as","topic","partition"}, {"unsubscribe"} or {"beat"}',
);
/** A frame of a client. */
export type LiveFrame = v.InferOutput<typeof liveFrame>;
