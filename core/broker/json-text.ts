/** Text and JSON as znode payloads, without the platform's encoders. */
import { assert } from "../assert.ts";
import { readUtf8, utf8Length, writeUtf8 } from "../wire/utf8.ts";

/** UTF-8 bytes of `text`, in a buffer of their own. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(utf8Length(text));
  const end = writeUtf8(text, bytes, 0);
  assert(end === bytes.length, "the text takes the bytes that were counted");
  return bytes;
}

/** The text of UTF-8 bytes; undefined for null or bytes that are not UTF-8. */
export const decodeText = (bytes: Uint8Array | null): string | undefined =>
  bytes === null ? undefined : readUtf8(bytes, 0, bytes.length);

/** JSON in UTF-8. */
export const encodeJson = (value: unknown): Uint8Array<ArrayBuffer> => encodeText(JSON.stringify(value));

/** Fields of a JSON object; empty for anything else, so that a payload that no broker wrote reads as one without fields. */
export function decodeFields(bytes: Uint8Array | null): Readonly<Record<string, unknown>> {
  const text = decodeText(bytes);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}
