/**
 * Encodes the whole state of an object as a text: equal texts mean equal states. Reads every field in the order in which
 * its class declares it, and maps and sets in the order of their keys, since the order of insertion makes no difference to
 * the core. Omits the constants of a member, and its log and checkpoint, which are part of its disk.
 */
const CONSTANT = new Set([
  "quorum",
  "_quorum",
  "config",
  "log",
  "snapshot",
  "_host",
  "self",
  "_self",
  "step",
  "_step",
  "effects",
  "tracing",
  "now",
]);

/** Bytes that mark a kind of value; lower ones are small numbers. */
const INT = 0x80;
const DOUBLE = 0x81;
const NULL = 0x82;
const UNDEFINED = 0x83;
const TRUE = 0x84;
const FALSE = 0x85;
const STRING = 0x86;
const BYTES = 0x87;
const LIST = 0x88;
const MAP = 0x89;
const SET = 0x8a;
const OBJECT = 0x8b;
const END = 0x8c;
const AGAIN = 0x8d;

let buffer = Buffer.alloc(1 << 16);
let end = 0;
/** *map text → number*, since the same few texts occur repeatedly */
const words = new Map<string, number>();
/** *map object → number* for the value that is being encoded: an object that is reached again is not encoded again */
const written = new Map<object, number>();
const byteWords = new WeakMap<Uint8Array, number>();

/** A value as text that is equal for equal values. */
export function encode(value: unknown): string {
  end = 0;
  written.clear();
  write(value);
  return buffer.toString("latin1", 0, end);
}

function tag(byte: number): void {
  if (end + 16 > buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
  buffer[end++] = byte;
}

function writeNumber(value: number): void {
  if (value >= 0 && value < INT && Number.isInteger(value)) tag(value);
  else if (value === (value | 0)) {
    tag(INT);
    end = buffer.writeInt32LE(value, end);
  } else {
    tag(DOUBLE);
    end = buffer.writeDoubleLE(value, end);
  }
}

function wordOf(word: string): number {
  let id = words.get(word);
  if (id === undefined) {
    id = words.size;
    words.set(word, id);
  }
  return id;
}

function write(value: unknown): void {
  switch (typeof value) {
    case "number":
      writeNumber(value);
      return;
    case "string":
      tag(STRING);
      writeNumber(wordOf(value));
      return;
    case "boolean":
      tag(value ? TRUE : FALSE);
      return;
    case "undefined":
      tag(UNDEFINED);
      return;
    case "object":
      writeObject(value);
      return;
    default:
      throw new Error(`a ${typeof value} has no place in a state`);
  }
}

function writeObject(value: object | null): void {
  if (value === null) tag(NULL);
  else if (value instanceof Uint8Array) {
    let id = byteWords.get(value);
    if (id === undefined) {
      id = wordOf(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1"));
      byteWords.set(value, id);
    }
    tag(BYTES);
    writeNumber(id);
  } else if (Array.isArray(value)) {
    tag(LIST);
    for (const item of value) write(item);
    tag(END);
  } else if (value instanceof Map) {
    tag(MAP);
    for (const key of value.size > 1 ? [...value.keys()].sort() : value.keys()) {
      write(key);
      write(value.get(key));
    }
    tag(END);
  } else if (value instanceof Set) {
    tag(SET);
    for (const item of value.size > 1 ? [...value].sort() : value) write(item);
    tag(END);
  } else {
    const isPlain = Object.getPrototypeOf(value) === Object.prototype;
    const number = isPlain ? undefined : written.get(value);
    if (number !== undefined) {
      tag(AGAIN);
      writeNumber(number);
      return;
    }
    tag(OBJECT);
    if (isPlain) for (const item of Object.values(value)) write(item);
    else {
      written.set(value, written.size);
      for (const [key, item] of Object.entries(value)) if (!CONSTANT.has(key)) write(item);
    }
    tag(END);
  }
}
