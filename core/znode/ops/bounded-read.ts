/** Which reads have an answer that may be longer than a znode. */
import { assertNever } from "../../assert.ts";
import type { ReadRequest } from "../types.ts";

/**
 * The read with a bound on the bytes of its answer. One that answers with a single znode stays as it is.
 *
 * A switch over all reads, and not a method of their ops: it is done for each read, and is faster so.
 */
export function boundedRead(request: ReadRequest, bytesMax: number): ReadRequest {
  switch (request.type) {
    case "exists":
    case "getData":
      return request;
    case "getChildren":
    case "getEphemerals":
      return { ...request, bytesMax };
    default:
      return assertNever(request);
  }
}
