/** Measures of a source file: documented exports, lengths of classes, links in comments, sets of names. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./import-graph.ts";
import {
  child,
  children,
  isMemberName,
  nameOf,
  namesDeclaredBy,
  type Place,
  placesIn,
  type Syntax,
  type SyntaxNode,
  stringOf,
} from "./syntax.ts";

const EXPORT =
  /^export\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|class|interface|type|const|let|enum)\s+(\w+)/;
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

/** A class, or an expression that makes one. */
export interface ClassSize {
  readonly name: string;
  readonly lines: number;
}

/** All classes of a file, at any depth. One without a name has that of the constant that holds it. */
export function classesIn({ program, text }: Syntax): ClassSize[] {
  return placesIn(program)
    .filter(({ node }) => node.type === "ClassDeclaration" || node.type === "ClassExpression")
    .map(({ node, parent }) => ({
      name: nameOf(child(node, "id")) ?? nameOf(child(parent, "id")) ?? "a class without a name",
      lines: text.slice(node.start, node.end).split("\n").length,
    }));
}

/** The rules that titles of tests cite: `it("[ZAB-1] …")`, `it.each(…)("[ZAB-1] …")`; not those of a test that is skipped. */
export function citedIn({ program, text }: Syntax): string[] {
  return placesIn(program).flatMap(({ node }) => {
    const title = titleOf(node);
    if (title === undefined) return [];
    const ids = text.slice(title.start, title.end).matchAll(/\[([A-Z]+-\d+)\]/g);
    return [...ids].map((match) => match[1] ?? "");
  });
}

/** The title of the test that a call declares. */
function titleOf(node: SyntaxNode): SyntaxNode | undefined {
  if (node.type !== "CallExpression") return undefined;
  const [title] = children(node, "arguments");
  let callee = child(node, "callee");
  while (callee !== undefined && callee.type !== "Identifier") {
    const member = nameOf(child(callee, "property"));
    if (member === "skip" || member === "todo") return undefined;
    callee = child(callee, "callee") ?? child(callee, "object") ?? child(callee, "tag");
  }
  const name = nameOf(callee);
  const isText = title?.type === "TemplateLiteral" || stringOf(title) !== undefined;
  return isText && (name === "it" || name === "test") ? title : undefined;
}

/** The values that a member `type` has in the types of a file: the names of messages, effects, events. */
export function typeNamesIn({ program }: Syntax): string[] {
  return placesIn(program)
    .filter(({ node }) => node.type === "TSPropertySignature" && nameOf(child(node, "key")) === "type")
    .flatMap(({ node }) => placesIn(node).flatMap((each) => stringOf(each.node) ?? []));
}

/** The sets of a file that contain only texts, each of which is one of the names. */
export const setsOfNames = (syntax: Syntax, names: ReadonlySet<string>): string[][] =>
  namesAt(syntax, names, (node) => {
    const isSet = node.type === "NewExpression" && nameOf(child(node, "callee")) === "Set";
    return isSet ? children(node, "arguments")[0] : undefined;
  });

/** methods by which an array serves as a set */
const SEARCHES: ReadonlySet<string> = new Set(["includes", "indexOf"]);

/** The same for arrays that are searched like sets. */
export const searchedNames = (syntax: Syntax, names: ReadonlySet<string>): string[][] =>
  namesAt(syntax, names, (node) => {
    const callee = node.type === "CallExpression" ? child(node, "callee") : undefined;
    return SEARCHES.has(nameOf(child(callee, "property")) ?? "") ? child(callee, "object") : undefined;
  });

/** nodes around an expression that do not change its value */
const WRAPPERS: ReadonlySet<string> = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "ParenthesizedExpression",
]);

/** The arrays that `arrayAt` finds at the nodes of a file, if they contain only texts, each of which is one of the names. */
function namesAt(
  { program }: Syntax,
  names: ReadonlySet<string>,
  arrayAt: (node: SyntaxNode) => SyntaxNode | undefined,
): string[][] {
  const places = placesIn(program);
  const arrayOf = (node: SyntaxNode | undefined): SyntaxNode | undefined => {
    if (node !== undefined && WRAPPERS.has(node.type)) return arrayOf(child(node, "expression"));
    if (node?.type !== "Identifier") return node;
    const declared = places.find(
      (each) => each.node.type === "VariableDeclarator" && nameOf(child(each.node, "id")) === nameOf(node),
    );
    const init = child(declared?.node, "init");
    return init?.type === "Identifier" ? undefined : arrayOf(init);
  };
  return places
    .map(({ node }) => children(arrayOf(arrayAt(node)), "elements").map(stringOf))
    .filter((texts): texts is string[] => texts.length > 0 && texts.every((each) => names.has(each ?? "")));
}

/** `{@link name}`, `{@link name.member}`; a link to an address has no name */
const LINK = /\{@link(?:code|plain)?\s+#?(\w+)(?:[.#]\w+)*(?=[\s|}(])/g;

/** The names that `{@link}`s of a file refer to and that the file neither declares nor imports. */
export function linksToNothing({ comments, program }: Syntax): string[] {
  const declared = new Set(placesIn(program).flatMap(declaredAt));
  return comments
    .flatMap(({ value }) => [...value.matchAll(LINK)].map((match) => match[1] ?? ""))
    .filter((name) => !declared.has(name));
}

/** The names that a place declares, members included. */
function declaredAt(place: Place): string[] {
  const { node, field } = place;
  if (node.type === "PrivateIdentifier" || (field === "key" && isMemberName(place)))
    return [nameOf(node) ?? ""];
  return namesDeclaredBy(node);
}

/** The doc comments of a file that another one follows directly: they describe nothing. */
export function strayComments({ comments, text }: Syntax): string[] {
  const docs = comments.filter(({ start }) => text.startsWith("/**", start));
  return docs
    .filter(({ end }, i) => /^[ \t]*\n[ \t]*$/.test(text.slice(end, docs[i + 1]?.start ?? end)))
    .map(({ value }) => value.replaceAll(/^\*|\s*\n\s*\*?/g, " ").trim());
}
