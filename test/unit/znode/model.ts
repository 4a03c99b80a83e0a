/** The simplest correct tree: one map, no overlay, no txns. Requests take effect at once. */
import type { ZooErrorCode } from "../../../core/errors.ts";
import {
  CreateMode,
  type MultiRequestOp,
  type SessionId,
  type WriteRequest,
} from "../../../core/znode/types.ts";

interface ModelNode {
  data: string | null;
  version: number;
  /** children ever made */
  made: number;
  owner: SessionId | null;
}

const BUILT_IN = ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"];

/** What the model expects: OK with the path of a create, or codes. */
export type Expected = { codes: string[]; paths: string[] };

export class Model {
  nodes = new Map<string, ModelNode>(
    BUILT_IN.map((path) => [path, { data: "", version: 0, made: 0, owner: null }]),
  );
  sessions = new Set<SessionId>();

  run(request: WriteRequest, session: SessionId): Expected {
    if (request.type === "createSession") {
      this.sessions.add(session);
      return { codes: ["OK"], paths: [] };
    }
    if (session !== 0 && !this.sessions.has(session)) return { codes: ["SESSION_EXPIRED"], paths: [] };
    switch (request.type) {
      case "closeSession":
        for (const [path, node] of this.nodes) if (node.owner === session) this.nodes.delete(path);
        this.sessions.delete(session);
        return { codes: ["OK"], paths: [] };
      case "sync":
        return { codes: ["OK"], paths: [] };
      case "multi":
        return this.#multi(request.ops, session);
      default: {
        const outcome = this.#one(request, session);
        return typeof outcome === "string" && !outcome.startsWith("/")
          ? { codes: [outcome], paths: [] }
          : { codes: ["OK"], paths: [outcome] };
      }
    }
  }

  #multi(ops: readonly MultiRequestOp[], session: SessionId): Expected {
    const before = structuredClone(this.nodes);
    const paths: string[] = [];
    for (const [at, op] of ops.entries()) {
      const outcome = this.#one(op, session);
      if (outcome.startsWith("/")) paths.push(outcome);
      else if (outcome !== "OK") {
        this.nodes = before;
        const codes = ops.map((_, i) => (i < at ? "OK" : i === at ? outcome : "RUNTIME_INCONSISTENCY"));
        return { codes, paths: [] };
      }
    }
    return { codes: ops.map(() => "OK"), paths };
  }

  /** An error code, "OK", or the path that was made. */
  #one(op: MultiRequestOp, session: SessionId): ZooErrorCode | string {
    if (op.type === "refused") return op.code;
    const node = this.nodes.get(op.path);
    const parent = this.nodes.get(this.#parent(op.path));
    switch (op.type) {
      case "create": {
        const ephemeral = op.mode === CreateMode.EPHEMERAL || op.mode === CreateMode.EPHEMERAL_SEQUENTIAL;
        if (ephemeral && session === 0) return "BAD_ARGUMENTS";
        if (parent === undefined) return "NO_NODE";
        if (this.#parent(op.path) === "/zookeeper/config") return "NO_AUTH";
        const path = op.mode < 2 ? op.path : op.path + String(parent.made).padStart(10, "0");
        if (this.nodes.has(path)) return "NODE_EXISTS";
        if (parent.owner !== null) return "NO_CHILDREN_FOR_EPHEMERALS";
        parent.made += 1;
        const data = op.data === null ? null : new TextDecoder().decode(op.data);
        this.nodes.set(path, { data, version: 0, made: 0, owner: ephemeral ? session : null });
        return path;
      }
      case "delete":
        if (BUILT_IN.includes(op.path)) return "BAD_ARGUMENTS";
        if (node === undefined) return "NO_NODE";
        if (op.version !== -1 && op.version !== node.version) return "BAD_VERSION";
        if (this.children(op.path).length > 0) return "NOT_EMPTY";
        this.nodes.delete(op.path);
        return "OK";
      case "setData":
        if (node === undefined) return "NO_NODE";
        if (op.path === "/zookeeper/config") return "NO_AUTH";
        if (op.version !== -1 && op.version !== node.version) return "BAD_VERSION";
        node.version += 1;
        node.data = op.data === null ? null : new TextDecoder().decode(op.data);
        return "OK";
      case "check":
        if (node === undefined) return "NO_NODE";
        return op.version !== -1 && op.version !== node.version ? "BAD_VERSION" : "OK";
    }
  }

  children(path: string): string[] {
    const prefix = path === "/" ? "/" : `${path}/`;
    return [...this.nodes.keys()]
      .filter((each) => each !== "/" && each.startsWith(prefix) && !each.slice(prefix.length).includes("/"))
      .map((each) => each.slice(prefix.length))
      .sort();
  }

  #parent(path: string): string {
    return path.slice(0, path.lastIndexOf("/")) || "/";
  }
}
