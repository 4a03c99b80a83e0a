/** UTF-8 without the platform: paths are short and mostly ASCII, for which a loop is faster than a platform call. */

/** Bytes that `text` takes. A lone surrogate counts as U+FFFD. */
export function utf8Length(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) size += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLow(text, i + 1)) {
      size += 2;
      i += 1;
    } else size += 2;
  }
  return size;
}

function isLow(text: string, at: number): boolean {
  const unit = at < text.length ? text.charCodeAt(at) : 0;
  return unit >= 0xdc00 && unit < 0xe000;
}

/** Writes `text` at `at`; the room must be there. Returns the end. */
export function writeUtf8(text: string, out: Uint8Array, at: number): number {
  let end = at;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      out[end++] = code;
      continue;
    }
    if (code >= 0xd800 && code < 0xe000) {
      if (code < 0xdc00 && isLow(text, i + 1)) {
        code = 0x10000 + ((code - 0xd800) << 10) + (text.charCodeAt(++i) - 0xdc00);
      } else code = 0xfffd;
    }
    if (code < 0x800) out[end++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) out[end++] = 0xe0 | (code >> 12);
      else {
        out[end++] = 0xf0 | (code >> 18);
        out[end++] = 0x80 | ((code >> 12) & 0x3f);
      }
      out[end++] = 0x80 | ((code >> 6) & 0x3f);
    }
    out[end++] = 0x80 | (code & 0x3f);
  }
  return end;
}

/** Reads `[start, end)`; undefined when it is not valid UTF-8. */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = "";
  let i = start;
  while (i < end) {
    const lead = bytes[i] ?? 0;
    i += 1;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      continue;
    }
    const more = lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
    if (more === 0 || lead >= 0xf5 || i + more > end) return undefined;
    let code = lead & (0x3f >> more);
    for (let k = 0; k < more; k++) {
      const next = bytes[i + k] ?? 0;
      if ((next & 0xc0) !== 0x80) return undefined;
      code = (code << 6) | (next & 0x3f);
    }
    i += more;
    if (code < (more === 1 ? 0x80 : more === 2 ? 0x800 : 0x10000)) return undefined;
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
    text += String.fromCodePoint(code);
  }
  return text;
}
