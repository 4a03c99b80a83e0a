/** Finds source files and exports that shipped code does not use. */
import { dirname, relative, resolve } from "node:path";
import { codeOf, importGraph, ROOT } from "./import-graph.ts";
import {
  child,
  children,
  isMemberName,
  nameOf,
  namesOfPattern,
  placesIn,
  type Syntax,
  type SyntaxNode,
  syntaxOf,
} from "./syntax.ts";

const DECLARED =
  /^export\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|class|interface|type|const|let|enum)\s+(\w+)/gm;
/** `export { a, type b as c } [from "x"]`, `import { … } from "x"` */
const LISTED = /^(import|export)\s+(?:type\s+)?(?:\w+\s*,\s*)?\{([^}]*)\}(?:\s*from\s+"([^"]+)")?/gm;
/** all of a module: `import * as x from "x"`, `export * from "x"`, `import("x")`, `typeof import("x")` */
const WHOLE = /(?:import|export)\s+(?:type\s+)?\*[^;"]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/g;

/** `a, type b as c` → pairs of the name in the module and the name here. */
const namesIn = (list: string): { readonly name: string; readonly as: string }[] =>
  list
    .split(",")
    .map((each) => each.trim().replace(/^type\s+/, ""))
    .filter((each) => each !== "")
    .map((each) => {
      const [name = "", as = name] = each.split(/\s+as\s+/);
      return { name, as };
    });

function exportsOf(file: string): string[] {
  const code = codeOf(file);
  const declared = [...code.matchAll(DECLARED)].map((match) => match[1] ?? "");
  const listed = [...code.matchAll(LISTED)]
    .filter(([, kind]) => kind === "export")
    .flatMap(([, , list = ""]) => namesIn(list).map(({ as }) => as));
  return [...declared, ...listed];
}

/** Files that no entry leads to by its imports. */
export function unreachedFiles(folders: readonly string[], isEntry: (file: string) => boolean): string[] {
  const graph = importGraph(folders);
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const target of graph.get(file) ?? []) visit(target);
  };
  for (const file of graph.keys()) if (isEntry(file)) visit(file);
  return [...graph.keys()].filter((file) => !reached.has(file));
}

/**
 * Exports that no other file imports, and that nothing used of their own file uses either.
 * @param isEntry whether the exports of a file are for others: a platform, a bundler, the users of a library
 * @param users folders whose files count as users, while their own exports are not looked at
 * @returns `file: name` each
 */
export function unusedExports(
  folders: readonly string[],
  isEntry: (file: string) => boolean,
  users: readonly string[],
): string[] {
  const files = [...importGraph(folders).keys()];
  const used = new Set<string>();
  const whole = new Set<string>();
  for (const file of importGraph([...folders, ...users]).keys()) {
    const target = (name: string): string => relative(ROOT, resolve(ROOT, dirname(file), name));
    const code = codeOf(file);
    for (const [, , list = "", from] of code.matchAll(LISTED))
      if (from !== undefined) for (const { name } of namesIn(list)) used.add(`${target(from)}: ${name}`);
    for (const [, all, dynamic] of code.matchAll(WHOLE)) whole.add(target(all ?? dynamic ?? ""));
  }
  return files
    .filter((file) => !isEntry(file) && !whole.has(file))
    .flatMap((file) =>
      unusedIn(syntaxOf(file), exportsOf(file), (name) => used.has(`${file}: ${name}`)).map(
        (name) => `${file}: ${name}`,
      ),
    );
}

/**
 * Names that a file exports and that nothing uses: no other file, and nothing of its own that is used. A declaration that
 * refers to itself, or two that refer to each other, are not used by that.
 * @param isUsed whether another file uses the name
 */
export function unusedIn(
  { program }: Syntax,
  exported: readonly string[],
  isUsed: (name: string) => boolean,
): string[] {
  const uses = new Map<string, ReadonlySet<string>>();
  const reached = new Set<string>();
  const reach = (name: string): void => {
    if (reached.has(name)) return;
    reached.add(name);
    for (const each of uses.get(name) ?? []) reach(each);
  };
  const always: string[] = [];
  for (const statement of children(program, "body")) {
    if (statement.type === "ImportDeclaration") continue;
    const inner = child(statement, "declaration") ?? statement;
    const declarations = inner.type === "VariableDeclaration" ? children(inner, "declarations") : [inner];
    for (const declaration of declarations) {
      const names = namesOfPattern(child(declaration, "id"));
      const used = namesUsedIn(declaration);
      if (names.length === 0) always.push(...used);
      for (const name of names) uses.set(name, new Set([...(uses.get(name) ?? []), ...used]));
    }
  }
  for (const name of always) reach(name);
  for (const name of exported) if (isUsed(name)) reach(name);
  return exported.filter((name) => !reached.has(name));
}

/** The identifiers below a node that are no names of members. */
const namesUsedIn = (root: SyntaxNode): Set<string> =>
  new Set(
    placesIn(root)
      .filter((place) => /^(JSX)?Identifier$/.test(place.node.type) && !isMemberName(place))
      .map(({ node }) => nameOf(node) ?? ""),
  );
