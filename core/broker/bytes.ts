const NOTHING = new Uint8Array();

/** Joins byte strings into a buffer of their own: a view would carry its whole buffer over RPC. */
export function concatBytes(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  if (parts.length === 0) return NOTHING;
  const data = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}
