/**
 * JSON bodies read without loss. `JSON.parse` replaces bytes that are not UTF-8, rounds numbers, and keeps only the last of
 * several members with one name; here all of these are refused, except inside opaque values, whose text is kept
 * unchanged.
 */

/** Why a body is refused. */
export class JsonProblem extends Error {
  override readonly name = "JsonProblem";
  /** `syntax`: the body is not JSON; `content`: it is JSON, but would lose information */
  readonly kind: "syntax" | "content";

  constructor(kind: "syntax" | "content", message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Path of a value: names and indices from the root on. Valid only during the call. */
export type Path = readonly (string | number)[];

/** Values whose text is kept without being read. */
export interface Opaque {
  /** Whether the value at this path is one of them. */
  readonly is: (path: Path) => boolean;
  /** receives its text */
  readonly keep: (path: Path, text: string) => void;
}

/** Levels of objects and arrays outside of opaque values; no valid body has more than six. */
const DEPTH_MAX = 64;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const NONE: Opaque = { is: () => false, keep: () => undefined };

/** Parses a body. A byte order mark before it is ignored. @returns its value @throws JsonProblem */
export function readJson(bytes: Uint8Array, opaque: Opaque = NONE): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new JsonProblem("syntax", "the body is not UTF-8");
  }
  if (text.startsWith("\ufeff")) text = text.slice(1);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonProblem("syntax", "the body is not JSON");
  }
  new Scanner(text, opaque).value(0);
  return value;
}

const QUOTE = 0x22;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Whether this character opens a level. `[` and `{` differ in one bit only, and so do `]` and `}`. */
const opens = (unit: number): boolean => (unit & ~0x20) === OPEN_ARRAY;
const closes = (unit: number): boolean => (unit & ~0x20) === CLOSE_ARRAY;

/** End of the string that begins at `at`: after the next quote that an even number of backslashes precedes. */
function endOfString(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let before = quote;
    while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1;
    if ((quote - before) % 2 === 0) return quote + 1;
  }
  return text.length;
}

/** Value of the string `[start, end)`, quotes included. */
function textOfString(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes("\\") ? (JSON.parse(text.slice(start, end)) as string) : inner;
}

/** Whether this character ends a number, or `true`, `false` or `null`. */
const endsToken = (unit: number): boolean =>
  unit === COMMA || isSpace(unit) || closes(unit) || Number.isNaN(unit);

/** Names of one object that are kept as a list: most objects have fewer, and searching so few is faster than a set. */
const LISTED_MAX = 16;

/** The names of an object's members so far. */
class Names {
  readonly #list: string[] = [];
  #set: Set<string> | undefined;

  /** @returns false if the name is known already */
  add(name: string): boolean {
    if (this.#set === undefined) {
      if (this.#list.includes(name)) return false;
      if (this.#list.push(name) > LISTED_MAX) this.#set = new Set(this.#list);
      return true;
    }
    const { size } = this.#set;
    return this.#set.add(name).size > size;
  }
}

/** Scans text that `JSON.parse` has accepted, once from left to right. */
class Scanner {
  readonly #text: string;
  readonly #opaque: Opaque;
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(text: string, opaque: Opaque) {
    this.#text = text;
    this.#opaque = opaque;
  }

  /** Scans the next value. */
  value(depth: number): void {
    this.#skipSpace();
    if (this.#opaque.is(this.#path)) {
      const start = this.#at;
      this.#skipValue();
      this.#opaque.keep(this.#path, this.#text.slice(start, this.#at));
      return;
    }
    const unit = this.#text.charCodeAt(this.#at);
    if (opens(unit)) {
      if (depth === DEPTH_MAX) throw this.#problem(`is nested more than ${DEPTH_MAX} levels deep`);
      if (unit === OPEN_OBJECT) this.#object(depth);
      else this.#array(depth);
    } else if (unit === QUOTE) this.#at = endOfString(this.#text, this.#at);
    else {
      const token = this.#token();
      if (!isExactNumber(token)) throw this.#problem(`the number ${shorten(token)} cannot be kept exactly`);
    }
  }

  #object(depth: number): void {
    const names = new Names();
    for (this.#at += 1; this.#next() !== CLOSE_OBJECT; ) {
      const start = this.#at;
      this.#at = endOfString(this.#text, start);
      const name = textOfString(this.#text, start, this.#at);
      this.#path.push(name);
      if (!names.add(name)) throw this.#problem("is given twice");
      this.#skipSpace();
      this.#at += 1; // the colon
      this.value(depth + 1);
      this.#path.pop();
    }
    this.#at += 1;
  }

  #array(depth: number): void {
    let index = 0;
    for (this.#at += 1; this.#next() !== CLOSE_ARRAY; index++) {
      this.#path.push(index);
      this.value(depth + 1);
      this.#path.pop();
    }
    this.#at += 1;
  }

  /** The next character after space and a comma. */
  #next(): number {
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#at) === COMMA) {
      this.#at += 1;
      this.#skipSpace();
    }
    return this.#text.charCodeAt(this.#at);
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at += 1;
  }

  /** Skips a value of any depth. */
  #skipValue(): void {
    let depth = 0;
    do {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit === QUOTE) this.#at = endOfString(this.#text, this.#at);
      else if (opens(unit) || closes(unit)) {
        depth += opens(unit) ? 1 : -1;
        this.#at += 1;
      } else if (depth > 0) this.#at += 1;
      else this.#token();
    } while (depth > 0);
  }

  /** A number, or `true`, `false` or `null`. */
  #token(): string {
    const start = this.#at;
    while (!endsToken(this.#text.charCodeAt(this.#at))) this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  #problem(what: string): JsonProblem {
    const where = this.#path.length === 0 ? "the body" : shorten(this.#path.join("."));
    return new JsonProblem("content", `${where}: ${what}`);
  }
}

/** The four kinds of white space in JSON. */
const isSpace = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;

const shorten = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 60)}…`);

/**
 * Whether a JavaScript number represents this JSON token exactly, so that printing it gives the same value. True for
 * `true`, `false` and `null`.
 */
export function isExactNumber(token: string): boolean {
  if (/^-?\d{1,15}$/.test(token) || /^[a-z]/.test(token)) return true;
  const value = Number(token);
  return Number.isFinite(value) && decimalOf(token) === decimalOf(String(value));
}

/** Sign, digits without zeros around them, and the power of ten of the first digit: equal for equal values. */
function decimalOf(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text);
  if (match === null) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = `${whole}${fraction}`;
  let zeros = 0;
  while (digits.charCodeAt(zeros) === ZERO) zeros += 1;
  let end = digits.length;
  while (end > zeros && digits.charCodeAt(end - 1) === ZERO) end -= 1;
  if (end === zeros) return "0";
  return `${sign}${digits.slice(zeros, end)}e${whole.length - zeros + Number(exponent)}`;
}

/**
 * The canonical text of a record's key: strings as `JSON.stringify` writes them and no space between tokens, so that
 * clients that escape differently use the same key; numbers unchanged.
 */
export function canonicalText(text: string): string {
  if (!/[\\\s]/.test(text)) return text;
  let out = "";
  let from = 0;
  for (let at = 0; at < text.length; ) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      const end = endOfString(text, at);
      out += text.slice(from, at) + JSON.stringify(JSON.parse(text.slice(at, end)));
      at = from = end;
    } else if (isSpace(unit)) {
      out += text.slice(from, at);
      at += 1;
      from = at;
    } else at += 1;
  }
  return out + text.slice(from);
}

/** Nesting that an answer may have: recursive parsers of clients give up at 512 levels or more. */
const SHOWN_DEPTH_MAX = 500;

/** The text of bytes that are JSON as a whole, in UTF-8; undefined if they are not, or are nested too deeply to be shown. */
export function jsonTextOf(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes);
    JSON.parse(text);
    return isShallow(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function isShallow(text: string): boolean {
  if (text.length <= 2 * SHOWN_DEPTH_MAX) return true;
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else {
      if (opens(unit)) depth += 1;
      else if (closes(unit)) depth -= 1;
      if (depth > SHOWN_DEPTH_MAX) return false;
      at += 1;
    }
  }
  return true;
}
