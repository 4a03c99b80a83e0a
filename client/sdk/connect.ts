/** Opens sessions over `/v1/ws`. Uses only features of every platform; `node.ts` adds those of Node. */
import { ZXID_ZERO } from "../../core/zab/zxid.ts";
import { checkConnect } from "./arguments.ts";
import { backoffMs, pause } from "./backoff.ts";
import {
  ATTEMPT_MS,
  ATTEMPT_MS_MIN,
  CONNECT_TIMEOUT_MS,
  RECONNECT_MS_MIN,
  SESSION_TIMEOUT_MS,
} from "./config.ts";
import { Dialer } from "./dial.ts";
import { detailOf, ZooError } from "./errors.ts";
import { Session } from "./session.ts";
import { platformTransport, type Transport } from "./transport.ts";
import type { ConnectOptions } from "./types.ts";

/**
 * Opens a session, or continues one. Attempts are repeated for `connectTimeoutMs`, at one URL after the other, so that an
 * ensemble that wakes, starts or elects a leader is waited for.
 * @param urls of the server, `http:` or `ws:`, with or without `/v1/ws`; `…/e/{ensemble}` chooses an ensemble, `?node=2` a
 * node. Of several, each attempt takes the next one.
 * @throws TypeError, RangeError for wrong arguments; ZooError CONNECTION_LOSS after `connectTimeoutMs`, with each URL and
 * the reason of its last failure; at once SESSION_EXPIRED, and when no URL can ever serve what its server answered:
 * UNKNOWN_ENSEMBLE, NOT_FOUND, UNAUTHORIZED …; the signal's reason
 */
export const connect = async (
  urls: string | readonly string[],
  options: ConnectOptions = {},
): Promise<Session> => connectOver(platformTransport, urls, options);

/** Failures of the attempts at one address. */
interface Failed {
  readonly attempts: number;
  /** of the last attempt */
  readonly error: unknown;
}

/** {@link connect} over a transport. @param transportOf the transport of these options, which have been checked */
export async function connectOver(
  transportOf: (openSocket: ConnectOptions["openSocket"]) => Transport,
  urls: string | readonly string[],
  options: ConnectOptions,
): Promise<Session> {
  const all = checkConnect(urls, options);
  const { ticket, timeoutMs = SESSION_TIMEOUT_MS, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const { reconnectMs = Math.max(2 * timeoutMs, RECONNECT_MS_MIN) } = options;
  const { signal = new AbortController().signal } = options;
  const dialer = new Dialer(all, timeoutMs, transportOf(options.openSocket));
  const failed = new Map<string, Failed>();
  const deadline = performance.now() + connectTimeoutMs;
  // each URL has its turn, even if all before it are silent
  const attemptMs = Math.max(Math.min(ATTEMPT_MS, connectTimeoutMs / all.length), ATTEMPT_MS_MIN);
  for (let attempt = 1; ; attempt++) {
    const url = dialer.next;
    const leftMs = deadline - performance.now();
    try {
      const dialed = await dialer.dial(ticket, ZXID_ZERO, signal, Math.min(attemptMs, leftMs));
      return new Session(dialed, dialer, reconnectMs);
    } catch (error) {
      if (signal.aborted || ZooError.is(error, "SESSION_EXPIRED")) throw error;
      failed.set(url, { attempts: (failed.get(url)?.attempts ?? 0) + 1, error });
    }
    if (attempt >= all.length && [...failed.values()].every(({ error }) => isFinal(error)))
      throw refused(failed);
    // the last attempt gets at least so long
    const spareMs = deadline - performance.now() - ATTEMPT_MS_MIN;
    if (spareMs < 0) throw timedOut(connectTimeoutMs, failed);
    if (attempt % all.length === 0) {
      const pauseMs = backoffMs(attempt / all.length, Math.random());
      await pause(Math.min(pauseMs, spareMs), signal);
      signal.throwIfAborted();
    }
  }
}

/** Whether every further attempt at the address would fail too. */
const isFinal = (error: unknown): boolean => !ZooError.is(error, "CONNECTION_LOSS");

/** Every address refuses: the error of the first, with the reasons of all. */
function refused(failed: ReadonlyMap<string, Failed>): unknown {
  const [first] = [...failed.values()].map(({ error }) => error);
  // thrown by openSocket
  if (!ZooError.is(first)) return first;
  const reasons = [...failed].map(([url, { error }]) => `${detailOf(error)} (${url})`);
  return new ZooError(first.code, reasons.join("; "));
}

function timedOut(ms: number, failed: ReadonlyMap<string, Failed>): ZooError {
  const reasons = [...failed].map(
    ([url, { attempts, error }]) =>
      `${url}: ${detailOf(error)} (${attempts} attempt${attempts === 1 ? "" : "s"})`,
  );
  return new ZooError("CONNECTION_LOSS", `cannot connect within ${ms} ms: ${reasons.join("; ")}`);
}
