/** Measures of a source file: documented exports, and lengths of classes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./import-graph.ts";

const EXPORT =
  /^export\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|class|interface|type|const|let|enum)\s+(\w+)/;
const CLASS = /^(?:export\s+)?(?:default\s+)?(?:abstract\s+)?class\s+(\w+)/;
/** a directive between a comment and its declaration */
const DIRECTIVE = /^\s*\/\/ (?:biome|oxlint|@ts)/;

/** The lines of a file. */
export const linesOf = (file: string): readonly string[] =>
  readFileSync(join(ROOT, file), "utf8").replace(/\n$/, "").split("\n");

/** a constant on one line: those that follow each other directly share one comment */
const CONSTANT = /^export const \w+(?:: \w+)? = .*;$/;

/** An exported declaration. */
export interface Export {
  readonly name: string;
  /** whether a doc comment ends directly above it, or above the block of constants that it is in */
  readonly isDocumented: boolean;
}

/** The exported declarations of a file; names that it only passes on are left out. */
export function exportsIn(file: string): readonly Export[] {
  const lines = linesOf(file);
  const documented = new Set<number>();
  return lines.flatMap((line, at) => {
    const name = EXPORT.exec(line)?.[1];
    if (name === undefined) return [];
    const above = lines.slice(0, at).findLastIndex((each) => !DIRECTIVE.test(each));
    const isDocumented =
      (lines[above]?.endsWith("*/") ?? false) || (CONSTANT.test(line) && documented.has(above));
    if (isDocumented && CONSTANT.test(line)) documented.add(at);
    return [{ name, isDocumented }];
  });
}

/** *map class of a file → its lines* */
export function classesIn(file: string): ReadonlyMap<string, number> {
  const lines = linesOf(file);
  return new Map(
    lines.flatMap((line, at) => {
      const name = CLASS.exec(line)?.[1];
      return name === undefined ? [] : [[name, lines.indexOf("}", at) - at + 1] as const];
    }),
  );
}
