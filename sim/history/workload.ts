/**
 * The requests of random clients: a state machine without a transport, so that the simulator and a run on the real runtime
 * have the same workload. {@link Workload.next} returns a client's next request, {@link Workload.learned} takes its
 * outcome.
 *
 * Keys rotate, so that the search for an order stays small: a key is a pair of registers that multis relate, and a
 * directory with sequential and ephemeral children; after `opsPerKey` operations another key replaces it. Data are unique.
 */
import type {
  ChangeRequest,
  Outcome,
  ReadRequest,
  Request,
  Result,
  SetWatchesRequest,
  WatchArrival,
  WriteRequest,
} from "./history.ts";

/** Seed, size and shares of a workload. */
export interface WorkloadOptions {
  /** of [0, 1) */
  readonly random: () => number;
  /** an absolute path that no other client uses */
  readonly root?: string;
  /** keys in use at a time */
  readonly keys?: number;
  readonly opsPerKey?: number;
  readonly weights?: Partial<Record<Kind, number>>;
}

/** The next request of a client. */
export interface Ask {
  readonly request: Request;
  readonly linearizable: boolean;
}

/** Shares of the kinds of operations. */
const WEIGHTS = {
  create: 8,
  set: 6,
  cas: 16,
  delete: 4,
  multi: 8,
  sync: 4,
  linearizable: 16,
  read: 12,
  watch: 22,
  sequential: 4,
  ephemeral: 4,
  deleteChild: 4,
};
type Kind = keyof typeof WEIGHTS;

const PERSISTENT = 0;
const EPHEMERAL = 1;
const PERSISTENT_SEQUENTIAL = 2;
const EPHEMERAL_SEQUENTIAL = 3;

interface Key {
  readonly registers: readonly [string, string];
  readonly directory: string;
  left: number;
  /** whether some client knows that the directory exists */
  ready: boolean;
  /** children whose names some client knows */
  readonly children: string[];
}

/** The requests of random clients. Invariant: no two writes have the same data. */
export class Workload {
  readonly root: string;
  readonly #random: () => number;
  readonly #opsPerKey: number;
  readonly #weights: readonly (readonly [Kind, number])[];
  readonly #total: number;
  readonly #keys: Key[] = [];
  /** *map path → its last version known to some client* */
  readonly #versions = new Map<string, number>();
  /** *map directory → its key* */
  readonly #directories = new Map<string, Key>();
  /** *map client → the path that it reads after its sync* */
  readonly #synced = new Map<number, string>();
  #count = 0;
  #made = 0;

  constructor(options: WorkloadOptions) {
    this.root = options.root ?? "/w";
    this.#random = options.random;
    this.#opsPerKey = options.opsPerKey ?? 200;
    const weights = { ...WEIGHTS, ...options.weights };
    this.#weights = Object.entries(weights) as [Kind, number][];
    this.#total = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    for (let i = 0; i < (options.keys ?? 8); i++) this.#keys.push(this.#newKey());
  }

  /** The writes that must succeed before all other requests. */
  get setup(): readonly WriteRequest[] {
    return [create(this.root, "", PERSISTENT)];
  }

  /** The znodes in use. */
  get paths(): { readonly registers: readonly string[]; readonly directories: readonly string[] } {
    return {
      registers: this.#keys.flatMap(({ registers }) => registers),
      directories: this.#keys.map(({ directory }) => directory),
    };
  }

  /** The next request of a client. @param session whether it has a session, without which it creates no ephemerals */
  next(client: number, session = true): Ask {
    const behind = this.#synced.get(client);
    if (behind !== undefined) {
      this.#synced.delete(client);
      return plain(read("getData", behind, false));
    }
    const key = this.#pickKey();
    const kind = this.#pickKind();
    const path = this.#oneOf(key.registers);
    const data = this.#data(client);
    switch (kind) {
      case "create":
        return plain(create(path, data, PERSISTENT));
      case "set":
        return plain({ type: "setData", path: this.#orChild(key, path), data, version: -1 });
      case "cas":
        return plain({ type: "setData", path, data, version: this.#versionOf(path) });
      case "delete":
        return plain({ type: "delete", path, version: this.#chance(0.5) ? -1 : this.#versionOf(path) });
      case "multi":
        return plain({ type: "multi", ops: this.#multi(client, key) });
      case "sync":
        this.#synced.set(client, path);
        return plain({ type: "sync" });
      case "linearizable":
        return { request: this.#read(key, path, false), linearizable: true };
      case "read":
        return plain(this.#read(key, path, false));
      case "watch":
        return plain(this.#read(key, path, true));
      default:
        return plain(this.#inDirectory(kind, client, key, data, session));
    }
  }

  /** The create of an ephemeral that others may also create; undefined while no directory exists. */
  ephemeral(client: number): Extract<ChangeRequest, { type: "create" }> | undefined {
    const ready = this.#keys.filter((key) => key.ready);
    if (ready.length === 0) return undefined;
    return create(`${this.#oneOf(ready).directory}/e${client % 3}`, this.#data(client), EPHEMERAL);
  }

  /** A write to a path that may or may not exist, without a version. */
  overwrite(client: number, path: string): WriteRequest {
    return { type: "setData", path, data: this.#data(client), version: -1 };
  }

  /** Handles the outcome of a request. */
  learned(request: Request, outcome: Outcome): void {
    if (outcome.type !== "done") return;
    this.#learn(request, outcome.result);
  }

  #learn(request: Request | ChangeRequest, result: Result): void {
    if (request.type === "multi" && result.type === "multi") {
      for (const [i, op] of request.ops.entries()) this.#learn(op, result.results[i] as Result);
      return;
    }
    if (!("path" in request)) return;
    const key = this.#directories.get(request.path);
    if (key !== undefined && request.type === "create") {
      key.ready ||= result.type !== "error" || result.code === "NODE_EXISTS";
    }
    if (result.type === "create") {
      const above = this.#directories.get(result.path.slice(0, result.path.lastIndexOf("/")));
      if (above !== undefined) above.children.push(result.path);
      this.#versions.set(result.path, 0);
    } else if ("stat" in result && result.stat !== null)
      this.#versions.set(request.path, result.stat.version);
  }

  #inDirectory(kind: Kind, client: number, key: Key, data: string, session: boolean): Request {
    const { directory } = key;
    if (!key.ready) return create(directory, data, PERSISTENT);
    if (kind === "sequential") {
      const mode = session && this.#chance(0.5) ? EPHEMERAL_SEQUENTIAL : PERSISTENT_SEQUENTIAL;
      return create(`${directory}/s-`, data, mode);
    }
    if (kind === "ephemeral") {
      // Clients share the names, so one may create what another's session has just lost.
      return session
        ? create(`${directory}/e${client % 3}`, data, EPHEMERAL)
        : create(`${directory}/p${client % 3}`, data, PERSISTENT);
    }
    return { type: "delete", path: this.#orChild(key, `${directory}/none`, 1), version: -1 };
  }

  /** Sometimes replaces the path by a child whose name some client knows. */
  #orChild(key: Key, path: string, probability = 0.2): string {
    return key.children.length > 0 && this.#chance(probability) ? this.#oneOf(key.children) : path;
  }

  #read(key: Key, path: string, watch: boolean): ReadRequest {
    const type = this.#oneOf(["getData", "getData", "exists", "getChildren"] as const);
    // A directory stays; a register is created and deleted, and watches of its children with it.
    const shown = type === "getChildren" && this.#chance(0.6) ? key.directory : path;
    return read(type, shown, watch);
  }

  #multi(client: number, key: Key): ChangeRequest[] {
    const [one, other] = this.#chance(0.5) ? key.registers : [key.registers[1], key.registers[0]];
    const set: ChangeRequest = { type: "setData", path: other, data: this.#data(client), version: -1 };
    const version = this.#versionOf(one);
    switch (Math.floor(this.#random() * 5)) {
      case 4:
        // The first operation is rolled back unless the second succeeds.
        return [set, { type: "check", path: one, version }];
      case 0:
        return [{ type: "check", path: one, version }, set];
      case 1:
        return [{ type: "setData", path: one, data: this.#data(client), version }, set];
      case 2:
        return [{ type: "delete", path: one, version }, create(one, this.#data(client), PERSISTENT)];
      default:
        return [create(one, this.#data(client), PERSISTENT), create(other, this.#data(client), PERSISTENT)];
    }
  }

  #pickKey(): Key {
    const i = Math.floor(this.#random() * this.#keys.length);
    let key = this.#keys[i] as Key;
    if (key.left <= 0) {
      key = this.#newKey();
      this.#keys[i] = key;
    }
    key.left -= 1;
    return key;
  }

  #newKey(): Key {
    this.#made += 1;
    const directory = `${this.root}/k${this.#made}`;
    const registers = [`${directory}-a`, `${directory}-b`] as const;
    const key: Key = { registers, directory, left: this.#opsPerKey, ready: false, children: [] };
    this.#directories.set(directory, key);
    return key;
  }

  #pickKind(): Kind {
    let at = this.#random() * this.#total;
    for (const [kind, weight] of this.#weights) {
      at -= weight;
      if (at < 0) return kind;
    }
    return "read";
  }

  /** The known version, and sometimes another one. */
  #versionOf(path: string): number {
    return this.#chance(0.1) ? 1_000_000 : (this.#versions.get(path) ?? 0);
  }

  #data(client: number): string {
    this.#count += 1;
    return `${client}.${this.#count}`;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

const plain = (request: Request): Ask => ({ request, linearizable: false });

const create = (
  path: string,
  data: string,
  mode: 0 | 1 | 2 | 3,
): Extract<ChangeRequest, { type: "create" }> => ({
  type: "create",
  path,
  data,
  mode,
  withStat: false,
});

function read(type: ReadRequest["type"], path: string, watch: boolean): ReadRequest {
  return type === "getChildren" ? { type, path, watch, withStat: true } : { type, path, watch };
}

/**
 * The state with which a client continues at another member: the last zxid it has seen, and its watches.
 * @source ZooKeeper `ClientCnxn`, `ZKWatchManager`
 */
export class ClientMemory {
  lastZxid = 0;
  readonly #data = new Set<string>();
  readonly #exist = new Set<string>();
  readonly #child = new Set<string>();

  /** Handles an answer. */
  answered(request: Request, outcome: Outcome): void {
    if (outcome.type !== "done") return;
    this.lastZxid = Math.max(this.lastZxid, outcome.zxid ?? 0);
    if (!("watch" in request) || !request.watch) return;
    const { type, path } = request;
    const { result } = outcome;
    if (result.type !== "error") (type === "getChildren" ? this.#child : this.#data).add(path);
    else if (type === "exists" && result.code === "NO_NODE") this.#exist.add(path);
  }

  /** Handles a fired watch. */
  fired({ type, path }: Pick<WatchArrival, "type" | "path">): void {
    if (type === 4) {
      this.#child.delete(path);
      return;
    }
    this.#data.delete(path);
    this.#exist.delete(path);
    if (type === 2) this.#child.delete(path);
  }

  /** The request to send first on a new connection; null without watches. */
  get setWatches(): SetWatchesRequest | null {
    if (this.#data.size + this.#exist.size + this.#child.size === 0) return null;
    const [data, exist, child] = [[...this.#data], [...this.#exist], [...this.#child]];
    return { type: "setWatches", relativeZxid: this.lastZxid, data, exist, child };
  }
}
