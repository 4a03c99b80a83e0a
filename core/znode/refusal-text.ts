/** Texts of refusals, which name the znode of the error. */
import { ZOO_ERRORS, type ZooErrorCode } from "../errors.ts";
import { isBuiltIn, parentForCreate } from "./path.ts";

/** The part of a request that an error names. */
export interface Refused {
  readonly type: string;
  readonly path?: string;
  readonly version?: number;
}

/** A sentence without a full stop. Requests without a znode get the title of the code. */
export function refusalText(code: ZooErrorCode, request: Refused): string {
  const { title } = ZOO_ERRORS[code];
  const { path, type, version } = request;
  if (path === undefined || path === "") return title;
  const isCreate = type === "create";
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the title of a code says enough unless a path adds to it
  switch (code) {
    case "NO_NODE":
      return isCreate
        ? `the parent ${parentForCreate(path)} of ${path} does not exist`
        : `${path} does not exist`;
    case "NODE_EXISTS":
      return `${path} exists already`;
    case "NOT_EMPTY":
      return `${path} has children`;
    case "BAD_VERSION":
      return version === undefined
        ? `the version of ${path} does not match`
        : `${path} is not at version ${version}`;
    case "NO_CHILDREN_FOR_EPHEMERALS":
      return `the parent ${parentForCreate(path)} is ephemeral, so it cannot have children`;
    case "BAD_ARGUMENTS":
      return type === "delete" && isBuiltIn(path) ? `${path} cannot be deleted` : `${title}: ${path}`;
    case "NO_AUTH":
    case "ANSWER_TOO_LARGE":
      return `${title}: ${path}`;
    default:
      return title;
  }
}
