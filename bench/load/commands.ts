/** Messages between a benchmark and its client process. Each command gets one answer, in order. */
import type { Shape } from "./tree.ts";

/** What a load does with each of its znodes. */
export type LoadOp = "set" | "get" | "create";

/** The znodes of a load. */
export type Znodes =
  /** of a tree of `size`; `hot`: only so many of them, spread evenly, instead of all; chosen at random */
  | { readonly of: "tree"; readonly shape: Shape; readonly size: number; readonly hot?: number }
  /** 16 of its own for each session, in turn */
  | { readonly of: "session" };

/** Orders to the client process. */
export type Command =
  /** Opens sessions, the i-th at the URL `i` modulo their number. `tcp`: at ZooKeeper servers */
  | {
      readonly type: "open";
      readonly urls: readonly string[];
      readonly count: number;
      readonly tcp?: boolean;
    }
  /** Creates the znodes `from` to `to` (exclusive) of a tree, and its parents if `from` is 0; counts the last `counted` */
  | {
      readonly type: "fill";
      readonly shape: Shape;
      readonly from: number;
      readonly to: number;
      readonly outstanding: number;
      readonly counted: number;
    }
  /** Begins a load: each session keeps so many operations outstanding */
  | { readonly type: "begin"; readonly op: LoadOp; readonly znodes: Znodes; readonly outstanding: number }
  /** Reports what was done since the last mark, or since the load began */
  | { readonly type: "mark" }
  /** Ends the load, once everything is answered */
  | { readonly type: "end" }
  /** Deletes what `create` loads have created */
  | { readonly type: "remove" }
  /** Creates, looks up and deletes one child of a tree's first parent after the other, for so long */
  | { readonly type: "single"; readonly shape: Shape; readonly ms: number }
  /** Lists the children of a znode */
  | { readonly type: "children"; readonly path: string }
  /** Closes the sessions */
  | { readonly type: "close" };

/** What was done between two marks. */
export interface LoadReport {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** operations that succeeded */
  readonly count: number;
  /** operations that failed */
  readonly failed: number;
  /** the first error */
  readonly error?: string;
}

/** Median times of single operations, one after the other, ms. */
export interface SingleReport {
  readonly createMs: number;
  readonly existsMs: number;
  readonly deleteMs: number;
}

/** *map command → its answer* */
export interface Answers {
  readonly open: null;
  readonly fill: LoadReport;
  readonly begin: null;
  readonly mark: LoadReport;
  readonly end: null;
  readonly remove: null;
  readonly single: SingleReport;
  readonly children: { readonly ms: number; readonly count: number };
  readonly close: null;
}

/** An answer, or why there is none. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: string };
