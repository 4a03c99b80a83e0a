/**
 * A tail: a live reader of a partition. It has at most one frame under way and asks for the next one, so a slow reader
 * costs one frame of memory and delays no other reader. Its state is a value that the shell keeps with the socket, hence a
 * tail survives the loss of its object's memory.
 *
 * Invariant: every frame begins at the offset at which the one before it ended.
 */
import type { PartitionAnswer, TailFrameAnswer } from "./replica-messages.ts";

/** Kept with the socket; its members are stored by this and earlier versions. */
export interface TailState {
  /** next offset to send */
  readonly next: number;
  /** the last frame is not acknowledged */
  readonly waiting: boolean;
  /** when it was opened, or asked for a frame last, ms since 1970 */
  readonly at: number;
}

/** What is to be sent on a tail. */
export type TailStep =
  /** nothing: its reader has not taken the last frame, or there is nothing new */
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

/** Its reader has taken the last frame and asks for the next one. */
export const acknowledgeTail = ({ next }: TailState, nowMs: number): TailState => ({
  next,
  waiting: false,
  at: nowMs,
});

/** Has nothing come from its reader for `silentMs`? @param beatAtMs when it beat last; 0: never */
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
