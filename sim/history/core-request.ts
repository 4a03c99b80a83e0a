/** Converts requests of a history to requests of the core. */
import type * as znode from "../../core/znode/types.ts";
import { type ChangeRequest, textToBytes, type WriteRequest } from "./history.ts";

const bytes = (data: string | null): Uint8Array | null => (data === null ? null : textToBytes(data));

function changeOf(request: ChangeRequest): znode.MultiRequestOp {
  switch (request.type) {
    case "create":
      return { ...request, data: bytes(request.data), mode: request.mode as znode.CreateMode };
    case "setData":
      return { ...request, data: bytes(request.data) };
    default:
      return request;
  }
}

/** A request of a history as a request of the core. */
export function coreRequest(request: WriteRequest): znode.WriteRequest {
  switch (request.type) {
    case "create":
    case "setData":
    case "delete":
      return changeOf(request) as znode.WriteRequest;
    case "multi":
      return { type: "multi", ops: request.ops.map(changeOf) };
    default:
      return request;
  }
}
