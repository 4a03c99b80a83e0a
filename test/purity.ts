/** What a file uses of its platform: a clock, randomness, promises, globals. */
import {
  child,
  isMemberName,
  nameOf,
  namesDeclaredBy,
  type Place,
  placesIn,
  type Syntax,
  type SyntaxNode,
  stringOf,
} from "./syntax.ts";

/** Globals, of values and of types, that depend on nothing but their arguments. */
const PURE: ReadonlySet<string> = new Set(
  (
    "undefined NaN Infinity Object Array String Number Boolean BigInt Symbol JSON Map Set WeakMap WeakSet " +
    "Error RangeError SyntaxError TypeError Int8Array Int16Array Int32Array Uint8Array Uint16Array Uint32Array " +
    "Float32Array Float64Array BigInt64Array BigUint64Array ArrayBuffer DataView const " +
    "Partial Required Readonly Record Pick Omit Extract Exclude NonNullable Parameters ReturnType " +
    "ReadonlyArray ReadonlyMap ReadonlySet Iterable Iterator IterableIterator MapIterator SetIterator Generator"
  ).split(" "),
);

/** Refused also where the file has something of its own by this name, which would hide a use. */
const IMPURE: ReadonlySet<string> = new Set(
  (
    "Date Promise performance crypto setTimeout setInterval setImmediate queueMicrotask requestAnimationFrame " +
    "console process globalThis global fetch eval Function Intl WeakRef FinalizationRegistry Buffer"
  ).split(" "),
);

/** Members by which an object leads to code from text, or to a promise. */
const IMPURE_MEMBERS: ReadonlySet<string> = new Set(["constructor", "fromAsync"]);

/** What a node is by its syntax alone. */
function impureSyntax(node: SyntaxNode): string | undefined {
  if (node.type === "ImportExpression") return "import()";
  if (node.type === "MetaProperty" && nameOf(child(node, "meta")) === "import") return "import.meta";
  if (node.type === "AwaitExpression" || node.await === true) return "await";
  if (node.async === true) return "async";
  return undefined;
}

/** The member that an expression or a pattern takes, where its name is in the text. */
function memberOf({ node, parent }: Place): string | undefined {
  if (node.type === "MemberExpression") {
    const property = child(node, "property");
    return node.computed === true ? stringOf(property) : nameOf(property);
  }
  if (node.type === "Property" && parent?.type === "ObjectPattern")
    return nameOf(child(node, "key")) ?? stringOf(child(node, "key"));
  return undefined;
}

/** How an identifier uses `Math`, which is impure by `random` only: all other uses must name their member. */
function impureMath({ parent, field }: Place): string | undefined {
  const isObject = parent?.type === "MemberExpression" && field === "object" && parent.computed !== true;
  if (!isObject) return "Math without a member";
  return nameOf(child(parent, "property")) === "random" ? "Math.random" : undefined;
}

/** `declare const x: …` takes anything from the platform, unless it is the brand of a type. */
function isForeign(node: SyntaxNode): boolean {
  if (
    node.declare !== true ||
    node.type === "TSTypeAliasDeclaration" ||
    node.type === "TSInterfaceDeclaration"
  )
    return false;
  const annotated = placesIn(node).find((each) => each.node.type === "TSTypeAnnotation")?.node;
  return child(annotated, "typeAnnotation")?.operator !== "unique";
}

/**
 * What a file uses that is not a function of its arguments, by its syntax tree.
 * @param allowed globals that it may use beside the pure ones
 */
export function impuritiesIn({ program }: Syntax, allowed: readonly string[] = []): string[] {
  const places = placesIn(program);
  const declared = new Set(places.flatMap(({ node }) => namesDeclaredBy(node)));
  const found = new Set<string>();
  for (const place of places) {
    const { node } = place;
    const what = impureSyntax(node);
    if (what !== undefined && !allowed.includes(what)) found.add(what);
    const member = memberOf(place);
    if (member !== undefined && IMPURE_MEMBERS.has(member)) found.add(`.${member}`);
    // A field `declare x: T` of a class only has its type.
    if (node.type !== "PropertyDefinition" && isForeign(node)) found.add("declare");
    if (node.type !== "Identifier" || isMemberName(place)) continue;
    const name = nameOf(node) ?? "";
    const isPure = PURE.has(name) || (declared.has(name) && !IMPURE.has(name)) || allowed.includes(name);
    if (name === "Math") {
      const use = impureMath(place);
      if (use !== undefined) found.add(use);
    } else if (!isPure) found.add(name);
  }
  return [...found];
}
