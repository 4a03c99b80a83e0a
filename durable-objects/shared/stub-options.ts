/** How stubs of nodes and brokers are opened. */

/**
 * Options of a stub of a node or broker: the platform must not repeat a call by itself. It may do so for 10 s after a
 * failure, while a failed call has to end its link at once. The pinned types and runtime have no such option yet; a runtime
 * that does not know it ignores it.
 */
export const NO_RETRIES: DurableObjectNamespaceGetDurableObjectOptions & {
  readonly retry: { readonly maxRetries: number };
} = { retry: { maxRetries: 0 } };
