/** Paths of znodes: rules and parts. @source ZooKeeper `PathUtils.validatePath` */

/** Znodes that every tree has from the beginning; they cannot be deleted. */
export const BUILT_IN_PATHS = ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] as const;

/** Exists in every ensemble; clients cannot change it. */
export const CONFIG_PATH = "/zookeeper/config";

const BUILT_IN: ReadonlySet<string> = new Set(BUILT_IN_PATHS);

/** Whether `path` is one of the znodes that cannot be deleted. */
export const isBuiltIn = (path: string): boolean => BUILT_IN.has(path);

const NO_PATHS: readonly string[] = [];
/** *map path → built-in znodes below it* */
const BUILT_IN_CHILDREN = new Map<string, readonly string[]>([
  ["/", ["/zookeeper"]],
  ["/zookeeper", ["/zookeeper/config", "/zookeeper/quota"]],
]);

/** The built-in children of a znode. */
export const builtInChildrenOf = (path: string): readonly string[] => BUILT_IN_CHILDREN.get(path) ?? NO_PATHS;

const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * Why `path` is not the path of a znode; undefined if it is legal.
 * @param sequential the name gets digits appended, so it may be empty or `.` before that
 */
export function validatePath(path: string, sequential = false): string | undefined {
  const text = sequential ? `${path}1` : path;
  if (text.length === 0) return "a path is not empty";
  if (text.charCodeAt(0) !== SLASH) return "a path begins with /";
  if (text.length === 1) return undefined;
  if (text.charCodeAt(text.length - 1) === SLASH) return "a path does not end with /";
  let start = 1;
  for (let i = 1; i <= text.length; i++) {
    const unit = i < text.length ? text.charCodeAt(i) : SLASH;
    if (unit !== SLASH) {
      if (isForbidden(unit)) return `U+${unit.toString(16).padStart(4, "0")} is not allowed in a path`;
      continue;
    }
    if (i === start) return "a path has no empty component";
    if (isRelative(text, start, i)) return "a path has no . or .. component";
    start = i + 1;
  }
  return undefined;
}

/** Control characters, surrogates, private use and specials cannot be shown or compared reliably. */
function isForbidden(unit: number): boolean {
  return (
    unit < 0x20 ||
    (unit >= 0x7f && unit <= 0x9f) ||
    (unit >= 0xd800 && unit <= 0xf8ff) ||
    (unit >= 0xfff0 && unit <= 0xffff)
  );
}

/** Whether the component `[start, end)` is `.` or `..`. */
function isRelative(text: string, start: number, end: number): boolean {
  if (end - start > 2 || text.charCodeAt(start) !== DOT) return false;
  return end - start === 1 || text.charCodeAt(start + 1) === DOT;
}

/** The minimum that a path must satisfy before anything else is checked. */
export const hasPathShape = (path: string): boolean => path.includes("/") && !path.includes("\0");

/** Path of the parent; the root's is "". For an illegal path, the part before the last slash. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash > 0 ? path.slice(0, slash) : slash === 0 && path.length > 1 ? "/" : "";
}

/** Path of the parent of a created znode: the part before the last slash. For a sequential `/a/` this is `/a`. */
export function parentForCreate(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === 0 ? "/" : path.slice(0, slash);
}

/** Whether `path` is the path of a child of `parent`. */
export function isChildOf(path: string, parent: string): boolean {
  const start = parent === "/" ? 1 : parent.length + 1;
  if (path.length <= start || !path.startsWith(parent) || path.charCodeAt(start - 1) !== SLASH) return false;
  return path.indexOf("/", start) === -1;
}

/** The last component; the root's is "". */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/**
 * The suffix of a sequential znode: the parent's stored cversion as a signed 32-bit number in ten places.
 * It turns negative after 2^31 − 1 children, as ZooKeeper's does.
 */
export function sequenceSuffix(cversion: number): string {
  return cversion < 0 ? `-${String(-cversion).padStart(9, "0")}` : String(cversion).padStart(10, "0");
}
