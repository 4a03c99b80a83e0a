/** Zxids in text. The API writes them as `0x` and up to 16 hex digits, the page as epoch and counter. */

/** Epoch and counter of a zxid. */
export interface ZxidParts {
  readonly epoch: number;
  readonly counter: number;
}

/** Returns undefined if the text is not a zxid. */
export function parseZxid(text: string | null | undefined): ZxidParts | undefined {
  if (!text || !/^0x[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const digits = text.slice(2).padStart(16, "0");
  return { epoch: Number.parseInt(digits.slice(0, 8), 16), counter: Number.parseInt(digits.slice(8), 16) };
}

/** `4.17`: the seventeenth txn of epoch 4. A dash if it is not known. */
export function showZxid(text: string | null | undefined): string {
  const parts = parseZxid(text);
  return parts ? `${parts.epoch}.${parts.counter}` : "–";
}

/** Negative, zero or positive if `a` is before, equal to or after `b`; an unknown zxid is before all others. */
export function compareZxidText(a: string | null | undefined, b: string | null | undefined): number {
  const left = parseZxid(a);
  const right = parseZxid(b);
  if (!left || !right) return (left ? 1 : 0) - (right ? 1 : 0);
  return left.epoch - right.epoch || left.counter - right.counter;
}
