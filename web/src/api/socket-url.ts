/** URL of `/v1/live` of the API at `base`, for a page and for a worker. */
export const socketUrl = (base: string): string =>
  `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${base}/v1/live`;
