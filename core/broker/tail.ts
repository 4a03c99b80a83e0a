/**
 * A tail: a live reader of a partition. It has at most one frame in flight and requests the next one, so a slow reader
 * costs one frame of memory and delays no other reader. Its state is a value that the shell stores with the socket, so a
 * tail survives the eviction of its object.
 *
 * Invariant: every frame begins at the offset at which the previous one ended.
 */
import type { PartitionAnswer, TailFrameAnswer } from "./replica-messages.ts";

/** State of a tail, stored with the socket by this and earlier versions. */
export interface TailState {
  /** next offset to send */
  readonly next: number;
  /** whether the last frame is not acknowledged yet */
  readonly waiting: boolean;
  /** when it was opened, or last requested a frame; ms since 1970 */
  readonly at: number;
}

/** The next thing to send on a tail. */
export type TailStep =
  /** nothing: its reader has not acknowledged the last frame, or there is nothing new */
  | { readonly type: "wait" }
  | { readonly type: "frame"; readonly state: TailState; readonly frame: TailFrameAnswer }
  | { readonly type: "close"; readonly code: string };

const WAIT: TailStep = { type: "wait" };

/** A tail that begins at `offset`. */
export const openTail = (offset: number, nowMs: number): TailState => ({
  next: offset,
  waiting: false,
  at: nowMs,
});

/** The state after its reader has acknowledged the last frame and requested the next one. */
export const acknowledgeTail = ({ next }: TailState, nowMs: number): TailState => ({
  next,
  waiting: false,
  at: nowMs,
});

/** Whether its reader has sent nothing for `silentMs`. @param beatAtMs time of its last heartbeat; 0 if none */
export const isSilentTail = ({ at }: TailState, beatAtMs: number, nowMs: number, silentMs: number): boolean =>
  Math.max(at, beatAtMs) <= nowMs - silentMs;

/** The next frame of a tail. @param read reads the log from an offset without waiting */
export function advanceTail(
  state: TailState,
  read: (offset: number) => PartitionAnswer<TailFrameAnswer>,
): TailStep {
  if (state.waiting) return WAIT;
  const answer = read(state.next);
  if (!answer.ok) return { type: "close", code: answer.code };
  if (answer.nextOffset === state.next) return WAIT;
  return { type: "frame", state: { ...state, next: answer.nextOffset, waiting: true }, frame: answer };
}
