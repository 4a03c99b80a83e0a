/** The trees of the growth benchmark: which znode has which path. */

/** `flat`: all znodes under one parent; `parents`: spread over 1,000 parents. */
export type Shape = "flat" | "parents";
/** All shapes, in the order in which they are measured. */
export const SHAPES: readonly Shape[] = ["parents", "flat"];

/** The znode above the whole tree, which is the parent of all others in a flat one. */
export const TOP = "/tree";
const PARENTS = 1_000;

/** Path of znode `index` of a tree; names have a fixed length. */
export function pathOf(shape: Shape, index: number): string {
  const name = `n${String(index).padStart(7, "0")}`;
  return shape === "flat" ? `${TOP}/${name}` : `${TOP}/p${index % PARENTS}/${name}`;
}

/** Paths of the znodes that the tree needs before the first of {@link pathOf}. */
export const parentsOf = (shape: Shape): readonly string[] =>
  shape === "flat" ? [TOP] : [TOP, ...Array.from({ length: PARENTS }, (_, i) => `${TOP}/p${i}`)];
