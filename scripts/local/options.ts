/** Parses input of the user. An invalid value is refused in one line that says what to type instead. */
import { isIP } from "node:net";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./listen.ts";

const PORT_MAX = 65_535;

/** `parseArgs`, whose refusals are one line. @throws UsageError */
export function readOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(refusalOf(error as Error));
  }
}

/** The refusals of `parseArgs`, which take up to three lines, in one. */
export function refusalOf({ message, code }: Error & { readonly code?: string }): string {
  const option = /'(?:-\w, )?(--?[\w-]+)/.exec(message)?.[1];
  const first = (message.split("\n")[0] ?? "").replace(/\. .*$/, "").replace(/\.$/, "");
  if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE" && option !== undefined) {
    if (/does not take/.test(message)) return `${option} takes no value`;
    return `${option} needs a value: ${option} VALUE, or ${option}=VALUE if it begins with a dash`;
  }
  return `${first.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())}; --help lists what there is`;
}

/** Parses a whole number. @throws UsageError */
export function wholeNumber(text: string, what: string, max: number, min = 0): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(`${what} must be a number from ${min} to ${max}, not "${text}"`);
  return value;
}

/** Parses the port of a server. @throws UsageError */
export const portNumber = (text: string, what: string): number => wholeNumber(text, what, PORT_MAX, 1);

/**
 * Parses the address of an HTTP server. `localhost:8788`, `:8788` and `8788` are accepted too.
 * @returns a URL without a slash at its end
 * @throws UsageError
 */
export function httpUrl(text: string, what: string): string {
  const refusal = new UsageError(`${what} must be a URL such as http://localhost:8788, not "${text}"`);
  const typed = /^:?\d+$/.test(text) ? `localhost:${text.replace(":", "")}` : text;
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `http://${typed}`;
  if (!URL.canParse(full) || /[\s?#@\\]|:\/{3}/.test(text)) throw refusal;
  const { protocol, port, origin, pathname } = new URL(full);
  if ((protocol !== "http:" && protocol !== "https:") || port === "0") throw refusal;
  return `${origin}${pathname}`.replace(/\/+$/, "");
}

/** Parses the name or address of a machine, without scheme and port. @returns it as in a URL @throws UsageError */
export function hostName(text: string, what: string): string {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) === 6) return `[${bare}]`;
  if (/^[\w-]+(\.[\w-]+)*\.?$/.test(text) && URL.canParse(`http://${text}`)) return text;
  throw new UsageError(
    `${what} must be a name or an address such as localhost or 127.0.0.1, without scheme and port, not "${text}"`,
  );
}
