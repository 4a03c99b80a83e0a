/** Syntax trees of source files, as vite's parser makes them (ESTree, with TypeScript's nodes). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "vite";
import { ROOT } from "./import-graph.ts";

/** A node of a syntax tree; its fields depend on its type. */
export interface SyntaxNode {
  readonly type: string;
  /** offsets in the text, the end exclusive */
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** A parsed file. */
export interface Syntax {
  /** relative to the repository */
  readonly file: string;
  readonly text: string;
  readonly program: SyntaxNode;
  readonly comments: readonly { readonly value: string; readonly start: number; readonly end: number }[];
}

/** Parses a source text. @throws on a syntax error */
export function parse(file: string, text: string): Syntax {
  const { program, comments, errors } = parseSync(file, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${file}: ${error.message}`);
  return { file, text, program: program as unknown as SyntaxNode, comments };
}

const parsed = new Map<string, Syntax>();

/** The syntax tree of a file of the repository, which is parsed once. */
export function syntaxOf(file: string): Syntax {
  const known = parsed.get(file) ?? parse(file, readFileSync(join(ROOT, file), "utf8"));
  parsed.set(file, known);
  return known;
}

export const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && typeof (value as SyntaxNode).type === "string";

/** The node in a field, if there is one. */
export function child(node: SyntaxNode | undefined, field: string): SyntaxNode | undefined {
  const value = node?.[field];
  return isNode(value) ? value : undefined;
}

/** The nodes in a field that holds a list. */
export function children(node: SyntaxNode | undefined, field: string): SyntaxNode[] {
  const value = node?.[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** Name of an identifier; undefined for other nodes. */
export const nameOf = (node: SyntaxNode | undefined): string | undefined =>
  typeof node?.name === "string" ? node.name : undefined;

/** Value of a string literal; undefined for other nodes. */
export const stringOf = (node: SyntaxNode | undefined): string | undefined =>
  node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined;

/** A node with the way to it. */
export interface Place {
  readonly node: SyntaxNode;
  /** undefined: it is the root */
  readonly parent: SyntaxNode | undefined;
  /** the field of the parent that holds it */
  readonly field: string;
}

/** A node and all below it, each before those below it. */
export function placesIn(root: SyntaxNode): Place[] {
  const places: Place[] = [];
  const visit = (node: SyntaxNode, parent: SyntaxNode | undefined, field: string): void => {
    places.push({ node, parent, field });
    for (const [name, value] of Object.entries(node)) {
      if (Array.isArray(value)) {
        for (const each of value) if (isNode(each)) visit(each, node, name);
      } else if (isNode(value)) visit(value, node, name);
    }
  };
  visit(root, undefined, "");
  return places;
}

/** Whether an identifier names a member (`x.name`, `{ name: … }`, `A.name`) or the other side of an import or export. */
export function isMemberName({ parent, field }: Place): boolean {
  if (parent === undefined) return false;
  if (field === "property" || field === "key") return parent.computed !== true && parent.shorthand !== true;
  if (field === "right") return parent.type === "TSQualifiedName";
  if (field === "label" || parent.type === "ExportSpecifier") return true;
  return field === "imported";
}

/** The names that a pattern binds. */
export function namesOfPattern(node: SyntaxNode | undefined): string[] {
  switch (node?.type) {
    case "Identifier":
      return [nameOf(node) ?? ""];
    case "ObjectPattern":
      return children(node, "properties").flatMap((each) =>
        namesOfPattern(each.type === "RestElement" ? each : child(each, "value")),
      );
    case "ArrayPattern":
      return children(node, "elements").flatMap(namesOfPattern);
    case "AssignmentPattern":
      return namesOfPattern(child(node, "left"));
    case "RestElement":
      return namesOfPattern(child(node, "argument"));
    case "TSParameterProperty":
      return namesOfPattern(child(node, "parameter"));
    default:
      return [];
  }
}

/** The names that a node declares: a variable, a function, a class, a type, an import, a parameter. */
export function namesDeclaredBy(node: SyntaxNode): string[] {
  switch (node.type) {
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
      return namesOfPattern(child(node, "local"));
    case "CatchClause":
      return namesOfPattern(child(node, "param"));
    case "TSTypeParameter":
      return namesOfPattern(child(node, "name"));
    case "TSMappedType":
      return namesOfPattern(child(node, "key"));
    default:
      return [...namesOfPattern(child(node, "id")), ...children(node, "params").flatMap(namesOfPattern)];
  }
}
