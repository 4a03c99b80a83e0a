/** The part of a WebSocket that the SDK uses; browsers and the `ws` package have it. */
export interface SocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** Opens a socket to a `ws:` or `wss:` URL. */
export type OpenSocket = (url: string) => SocketLike;

/** The WebSocket of the platform. */
export const openPlatformSocket: OpenSocket = (url) => {
  const { WebSocket } = globalThis as unknown as { WebSocket: new (url: string) => SocketLike };
  return new WebSocket(url);
};

/**
 * Runs `task` once everything that this tick set going has run, promise continuations included, so that what they issue
 * is gathered too. Node has this as nextTick called from a microtask; elsewhere two microtasks come near it.
 */
export const atEndOfTick: (task: () => void) => void = (() => {
  const { process } = globalThis as { process?: { nextTick?: (task: () => void) => void } };
  const nextTick = process?.nextTick;
  if (nextTick !== undefined) return (task: () => void) => queueMicrotask(() => nextTick(task));
  return (task: () => void) => queueMicrotask(() => queueMicrotask(task));
})();
