/** Requests as shell commands. */

/** A request to the API as data. */
export interface ApiCall {
  readonly method: string;
  /** Path below the API's base, e.g. `/v1/faults/heal`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** `base` is the absolute URL of the API, without a slash at its end. A token is never written out. */
export function toCurl(base: string, call: ApiCall): string {
  const parts = ["curl"];
  if (call.method !== "GET") parts.push("-X", call.method);
  parts.push(quote(`${base}${call.path}`));
  for (const [name, value] of Object.entries(call.headers ?? {})) {
    const shown = name.toLowerCase() === "authorization" ? "Bearer $ZOOWEEPER_TOKEN" : value;
    parts.push("-H", shown.includes("$") ? `"${name}: ${shown}"` : quote(`${name}: ${shown}`));
  }
  if (call.body !== undefined) parts.push("-d", quote(call.body));
  return parts.join(" ");
}

/** Quotes everything except plain words. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
