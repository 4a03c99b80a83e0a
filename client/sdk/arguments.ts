/**
 * Checks of arguments before any byte is written: a TypeError for a value of the wrong type, a RangeError for a value
 * that cannot be carried out. Only that call fails.
 */
import { must } from "../../core/assert.ts";
import { FRAME_BYTES_MAX } from "../../core/wire/jute/frame.ts";
import { CreateMode, type MultiRequestOp } from "../../core/znode/types.ts";
import { ZooError } from "./errors.ts";
import type { ConnectOptions, Data, Mode, WatchListener } from "./types.ts";

const MODES: Readonly<Record<Mode, CreateMode>> = {
  persistent: CreateMode.PERSISTENT,
  ephemeral: CreateMode.EPHEMERAL,
  "persistent-sequential": CreateMode.PERSISTENT_SEQUENTIAL,
  "ephemeral-sequential": CreateMode.EPHEMERAL_SEQUENTIAL,
};

const I32_MAX = 2 ** 31 - 1;
const utf8 = new TextEncoder();

/** How a value is named in an error. */
function named(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (typeof value !== "object") return `${typeof value} ${String(value)}`;
  return Object.prototype.toString.call(value).slice(8, -1);
}

const wrongType = (what: string, wanted: string, value: unknown): TypeError =>
  new TypeError(`${what} is ${wanted}, not ${named(value)}`);

/** Refuses text with lone surrogates, which would arrive as other text. */
function checkText(what: string, text: string): void {
  if (!text.isWellFormed()) throw new RangeError(`${what} has a lone surrogate`);
}

/** The server decides whether the path is legal. */
export function checkPath(path: unknown, what = "a path"): string {
  if (typeof path !== "string") throw wrongType(what, "a string", path);
  checkText(what, path);
  return path;
}

/** The name of a typed array's class, whatever its prototype or realm; undefined for any other value. */
const classOf: (this: unknown) => string | undefined = must(
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get,
  "typed arrays say what they are",
);

/** Buffers are Uint8Arrays; other views are refused, because their bytes depend on the machine. */
const isBytes = (value: unknown): value is Uint8Array => classOf.call(value) === "Uint8Array";

/** @returns a lower bound of the length of the data, bytes */
export function checkData(data: unknown, what = "data"): number {
  if (data === null) return 0;
  if (typeof data === "string") {
    checkText(what, data);
    return data.length;
  }
  if (!isBytes(data)) throw wrongType(what, "a string, a Uint8Array or null", data);
  // (One that was transferred has length 0. To ask every array for its buffer would move small ones out of V8's heap.)
  // @ts-expect-error newer than the libraries that we compile with
  if (data.length === 0 && data.buffer.detached === true)
    throw new TypeError(`${what} was transferred and is gone`);
  return data.length;
}

/** Data as bytes; null stays null. */
export const bytesOf = (data: Data): Uint8Array | null =>
  typeof data === "string" ? utf8.encode(data) : data;

/** @throws ZooError TOO_LARGE for a request that no server accepts */
export function checkLength(bytes: number): void {
  if (bytes > FRAME_BYTES_MAX)
    throw new ZooError("TOO_LARGE", `a request has at most ${FRAME_BYTES_MAX} bytes`);
}

/** −1 expects any version. The server's are 32 bits, and negative after 2^31 − 1. */
export function checkVersion(version: unknown, what = "a version"): number {
  if (typeof version !== "number") throw wrongType(what, "a number", version);
  if (version !== (version | 0)) throw new RangeError(`${what} is a whole number of 32 bits, not ${version}`);
  return version | 0;
}

/** The create mode of a name. @throws TypeError, RangeError */
export function modeOf(mode: unknown, what = "a mode"): CreateMode {
  if (typeof mode !== "string") throw wrongType(what, "a string", mode);
  if (!Object.hasOwn(MODES, mode)) {
    throw new RangeError(`${what} is one of ${Object.keys(MODES).join(", ")}, not ${named(mode)}`);
  }
  return MODES[mode as Mode];
}

/** The listener of a read's options, if there is one. */
export function watchOf(options: unknown): WatchListener | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  const { watch } = options as { readonly watch?: unknown };
  return watch === undefined ? undefined : (checkListener(watch, "watch") as WatchListener);
}

/** @returns the listener. @throws TypeError when it is no function */
export function checkListener<T>(listener: T, what = "a listener"): T {
  if (typeof listener !== "function") throw wrongType(what, "a function", listener);
  return listener;
}

/** The operations of a multi, copied: later changes by the caller have no effect. */
export function multiRequests(ops: unknown): { readonly requests: MultiRequestOp[]; readonly bytes: number } {
  if (!Array.isArray(ops)) throw wrongType("the operations of a multi", "an array", ops);
  let bytes = 0;
  const requests = Array.from(ops as readonly unknown[], (op, index): MultiRequestOp => {
    const what = `operation ${index} of the multi`;
    if (typeof op !== "object" || op === null) throw wrongType(what, "an object", op);
    const { op: kind, path, data, mode, version } = op as Partial<Record<OpField, unknown>>;
    const known = checkPath(path, `the path of ${what}`);
    bytes += known.length;
    const ofVersion = (): number =>
      version === undefined && kind !== "check" ? -1 : checkVersion(version, `the version of ${what}`);
    const ofData = (value: unknown): Uint8Array | null => {
      bytes += checkData(value, `the data of ${what}`);
      return bytesOf(value as Data);
    };
    switch (kind) {
      case "create":
        return {
          type: "create",
          path: known,
          data: ofData(data ?? null),
          mode: mode === undefined ? CreateMode.PERSISTENT : modeOf(mode, `the mode of ${what}`),
          withStat: false,
        };
      case "set":
        return { type: "setData", path: known, data: ofData(data), version: ofVersion() };
      case "delete":
        return { type: "delete", path: known, version: ofVersion() };
      case "check":
        return { type: "check", path: known, version: ofVersion() };
      default:
        if (typeof kind !== "string") throw wrongType(`the op of ${what}`, "a string", kind);
        throw new RangeError(`the op of ${what} is create, set, delete or check, not ${named(kind)}`);
    }
  });
  return { requests, bytes };
}

/** The fields of all operations. */
type OpField = "op" | "path" | "data" | "mode" | "version";

/** Checks the arguments of connect(). @returns the URLs */
export function checkConnect(urls: unknown, options: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(urls) ? urls : [urls];
  if (all.length === 0) throw new RangeError("there is no URL to connect to");
  for (const url of all) {
    if (typeof url !== "string") throw wrongType("a URL", "a string", url);
    if (!URL.canParse(url)) throw new TypeError(`${named(url)} is not a URL`);
    if (!/^(http|ws)s?:$/.test(new URL(url).protocol))
      throw new RangeError(`${named(url)} is neither http nor ws`);
  }
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  if ("token" in options)
    throw new TypeError("a token is sent by the SDK for Node, node.ts, or by an openSocket of your own");
  checkOptions(options as { readonly [K in keyof ConnectOptions]: unknown });
  return all as readonly string[];
}

function checkOptions(options: { readonly [K in keyof ConnectOptions]?: unknown }): void {
  const { timeoutMs, connectTimeoutMs, reconnectMs, ticket, openSocket, signal } = options;
  if (timeoutMs !== undefined) {
    if (typeof timeoutMs !== "number") throw wrongType("timeoutMs", "a number", timeoutMs);
    if (!(Number.isInteger(timeoutMs) && timeoutMs > 0 && timeoutMs <= I32_MAX))
      throw new RangeError(`timeoutMs is a whole number from 1 to ${I32_MAX}, not ${timeoutMs}`);
  }
  if (connectTimeoutMs !== undefined) {
    if (typeof connectTimeoutMs !== "number")
      throw wrongType("connectTimeoutMs", "a number", connectTimeoutMs);
    if (!(connectTimeoutMs > 0)) throw new RangeError(`connectTimeoutMs is above 0, not ${connectTimeoutMs}`);
  }
  if (reconnectMs !== undefined) {
    if (typeof reconnectMs !== "number") throw wrongType("reconnectMs", "a number", reconnectMs);
    if (!(reconnectMs >= 0)) throw new RangeError(`reconnectMs is 0 or more, not ${reconnectMs}`);
  }
  if (ticket !== undefined) checkTicket(ticket);
  if (openSocket !== undefined) checkListener(openSocket, "openSocket");
  if (signal !== undefined) {
    const { aborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
    if (typeof aborted !== "boolean" || typeof addEventListener !== "function")
      throw wrongType("signal", "an AbortSignal", signal);
  }
}

function checkTicket(ticket: unknown): void {
  if (typeof ticket !== "object" || ticket === null) throw wrongType("ticket", "an object", ticket);
  const { id, password } = ticket as { readonly id?: unknown; readonly password?: unknown };
  if (typeof id !== "number") throw wrongType("the id of the ticket", "a number", id);
  if (!(Number.isSafeInteger(id) && id > 0))
    throw new RangeError(`the ticket has no valid session id: ${id}`);
  if (!isBytes(password)) throw wrongType("the password of the ticket", "a Uint8Array", password);
  if (password.length > PASSWORD_BYTES_MAX) throw new RangeError("the password of the ticket is too long");
}

/** Bytes of a password in ZooKeeper: 16. */
const PASSWORD_BYTES_MAX = 64;
