/** Content types and `Accept`, read as HTTP defines them. @source RFC 9110, sections 8.3 and 12.5.1 */

/** A `Content-Type` without its parameters, in lower case, and its charset. */
export interface MediaType {
  /** `type/subtype`; empty when the header is missing */
  readonly essence: string;
  /** lower case; undefined when it is not given */
  readonly charset: string | undefined;
}

/** Reads a `Content-Type`. */
export function mediaTypeOf(header: string | undefined): MediaType {
  const [essence = "", ...parameters] = (header ?? "").split(";");
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/i.exec(parameter)?.[1]?.toLowerCase())
    .find((found) => found !== undefined);
  return { essence: essence.trim().toLowerCase(), charset };
}

/** Whether it is `application/json` or has the suffix `+json`. */
export const isJsonType = ({ essence }: MediaType): boolean =>
  /^application\/([\w.-]+\+)?json$/.test(essence);

/** Whether the text is UTF-8, which JSON requires. */
export const isUtf8 = ({ charset }: MediaType): boolean =>
  charset === undefined || charset === "utf-8" || charset === "utf8" || charset === "us-ascii";

/** One entry of an `Accept` header. */
interface Range {
  readonly essence: string;
  /** 0 to 1; 0 excludes */
  readonly q: number;
}

/** Entries of an `Accept` header in their order. Parameters other than `q` are ignored. */
export function acceptedRanges(header: string | undefined): readonly Range[] {
  if (header === undefined || header.trim() === "") return [{ essence: "*/*", q: 1 }];
  return header.split(",").map((entry) => {
    const [essence = "", ...parameters] = entry.split(";");
    const q = parameters
      .map((parameter) => /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/i.exec(parameter)?.[1])
      .find((found) => found !== undefined);
    return { essence: essence.trim().toLowerCase(), q: q === undefined ? 1 : Math.min(1, Number(q)) };
  });
}

/** How exactly a range names a type: 3 itself, 2 its group, 1 anything, 0 not at all. */
function specificity(range: string, type: string): number {
  if (range === type) return 3;
  if (range === "*/*" || range === "*") return 1;
  return range.endsWith("/*") && type.startsWith(range.slice(0, -1)) ? 2 : 0;
}

/**
 * The offer that the client prefers: by quality, then by how exactly it is named, then by the order of the offers.
 * Undefined if none is acceptable.
 */
export function preferredType<T extends string>(
  header: string | undefined,
  offers: readonly T[],
): T | undefined {
  const ranges = acceptedRanges(header);
  let best: { readonly offer: T; readonly q: number; readonly exact: number } | undefined;
  for (const offer of offers) {
    let exact = 0;
    let q = 0;
    for (const range of ranges) {
      const fit = specificity(range.essence, offer);
      if (fit > exact) {
        exact = fit;
        q = range.q;
      }
    }
    if (q > 0 && (best === undefined || q > best.q || (q === best.q && exact > best.exact)))
      best = { offer, q, exact };
  }
  return best?.offer;
}

/** Whether the client names exactly this type, and prefers no other. */
export function prefersExactly(header: string | undefined, type: string): boolean {
  if (header === undefined) return false;
  const ranges = acceptedRanges(header);
  const named = ranges.find(({ essence }) => essence === type);
  return named !== undefined && named.q > 0 && ranges.every(({ q }) => q <= named.q);
}
