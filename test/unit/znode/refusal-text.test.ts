import { describe, expect, it } from "vitest";
import { ZOO_ERRORS, type ZooErrorCode } from "../../../core/errors.ts";
import { refusalText } from "../../../core/znode/refusal-text.ts";

describe("text of a refusal", () => {
  it("[HTTP-45] names the znode that the code concerns: for a create, the parent", () => {
    const create = { type: "create", path: "/a/b/c" };
    const set = { type: "setData", path: "/a", version: 7 };
    const said: readonly (readonly [ZooErrorCode, Parameters<typeof refusalText>[1], string])[] = [
      ["NO_NODE", create, "the parent /a/b of /a/b/c does not exist"],
      ["NO_NODE", { type: "create", path: "/q/" }, "the parent /q of /q/ does not exist"],
      ["NO_NODE", { type: "create", path: "/a" }, "the parent / of /a does not exist"],
      ["NO_NODE", set, "/a does not exist"],
      ["NODE_EXISTS", create, "/a/b/c exists already"],
      ["NO_CHILDREN_FOR_EPHEMERALS", create, "the parent /a/b is ephemeral, so it cannot have children"],
      ["BAD_VERSION", set, "/a is not at version 7"],
      ["BAD_VERSION", { type: "other", path: "/a" }, "the version of /a does not match"],
      ["NOT_EMPTY", { type: "delete", path: "/a", version: -1 }, "/a has children"],
      ["BAD_ARGUMENTS", { type: "delete", path: "/zookeeper", version: -1 }, "/zookeeper cannot be deleted"],
      ["SESSION_EXPIRED", create, ZOO_ERRORS.SESSION_EXPIRED.title],
      ["NO_NODE", { type: "multi" }, ZOO_ERRORS.NO_NODE.title],
    ];
    for (const [code, request, text] of said) expect(refusalText(code, request)).toBe(text);
  });
});
