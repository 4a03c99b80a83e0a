/** The imports between files, types included, and circles among them. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** The repository. */
export const ROOT = resolve(import.meta.dirname, "..");

/** Files under `folder` whose name matches, relative to the repository; nothing built or installed. */
export function filesUnder(folder: string, ending: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("node_modules") && !path.includes("/dist/"));
}

export interface Import {
  /** a file relative to the repository, or the name of a package */
  readonly target: string;
  readonly isPackage: boolean;
  /** a type costs nothing at run time, but ties its file to the other one all the same */
  readonly isType: boolean;
}

/** a string, which may hold what looks like a comment, or a comment */
const STRING_OR_COMMENT =
  /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`)|\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm;

/** The source of a file without its comments. */
export const codeOf = (file: string): string =>
  readFileSync(join(ROOT, file), "utf8").replaceAll(
    STRING_OR_COMMENT,
    (_, text: string | undefined) => text ?? "",
  );
/** `import … from "x"`, `export … from "x"`, `import "x"`, `import("x")` */
const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?[^;"]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;

/** The imports of one file. */
export function importsOf(file: string): Import[] {
  return [...codeOf(file).matchAll(IMPORT)].map(([, type, from, bare, dynamic]) => {
    const name = from ?? bare ?? dynamic ?? "";
    const isPackage = !name.startsWith(".");
    return {
      target: isPackage ? name : relative(ROOT, resolve(ROOT, dirname(file), name)),
      isPackage,
      isType: type !== undefined,
    };
  });
}

/** *map file → the files that it imports*, for all TypeScript under these folders. */
export function importGraph(folders: readonly string[]): Map<string, readonly string[]> {
  const files = folders.flatMap((folder) => filesUnder(folder, /\.tsx?$/));
  return new Map(
    files.map((file) => [
      file,
      importsOf(file).flatMap(({ target, isPackage }) => (isPackage ? [] : [target])),
    ]),
  );
}

/**
 * The circles of a graph: sets of nodes of which each reaches each other.
 * @source Tarjan, Depth-first search and linear graph algorithms, 1972
 */
export function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (node: string): number => {
    const at = index.size;
    index.set(node, at);
    low.set(node, at);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) low.set(node, Math.min(low.get(node) ?? at, visit(next)));
      else if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? at, index.get(next) ?? at));
    }
    const lowest = low.get(node) ?? at;
    if (lowest === at) {
      const circle = stack.splice(stack.indexOf(node));
      if (circle.length > 1 || graph.get(node)?.includes(node)) circles.push(circle.sort());
    }
    return lowest;
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return circles;
}
