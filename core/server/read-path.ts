/** The read path: decides from which state of the tree a read may be answered, and when. */
import type { ZabPeer } from "../zab/peer.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "../zab/zxid.ts";
import type { ZnodeTree } from "../znode/tree.ts";
import { NO_SESSION, type ReadRequest, type SessionId } from "../znode/types.ts";
import { failed } from "./answers.ts";
import type { ServerConfig } from "./config.ts";
import type { EffectList } from "./effect-list.ts";
import type { Token } from "./ids.ts";
import type { LocalReads } from "./local-reads.ts";
import type { LocalRequest, PendingRequests } from "./pending.ts";
import type { Readiness } from "./readiness.ts";
import type { WritePath } from "./write-path.ts";

/** A read of a client, with the conditions on its answer. */
export interface ClientRead {
  readonly session: SessionId;
  readonly xid: number;
  readonly request: ReadRequest;
  /** the answer shows every write that was committed when the read came; a quorum confirms that first */
  readonly linearizable: boolean;
  /** a member without a quorum may answer */
  readonly stale: boolean;
  /** it does not keep the ensemble awake */
  readonly background?: boolean;
  /**
   * zxid that the client has seen: a member that is behind it catches up first, as for a linearizable read; BAD_ARGUMENTS
   * if no quorum has that zxid
   */
  readonly atLeast?: Zxid | undefined;
  /** whether the read waits for a quorum while this member is not ready: set for clients with a connection here */
  readonly waits?: boolean;
}

/** The parts that a {@link ReadPath} uses. */
export interface ReadParts {
  readonly config: ServerConfig;
  readonly zab: ZabPeer;
  readonly effects: EffectList;
  readonly pending: PendingRequests;
  readonly reads: LocalReads;
  readonly readiness: Readiness;
  readonly writes: WritePath;
}

/**
 * Decides for each read whether it is answered now from this member's tree, after earlier requests of its session, or after
 * a committed `sync`.
 *
 * Invariant: a session reads its own writes, and never a state older than one that it has seen.
 *
 * @source ZooKeeper `CommitProcessor` (reads behind writes), programmer's guide "Consistency Guarantees"
 */
export class ReadPath {
  readonly #parts: ReadParts;
  #tree: ZnodeTree;

  constructor(parts: ReadParts, tree: ZnodeTree) {
    this.#parts = parts;
    this.#tree = tree;
  }

  /** Replaces the tree by a received snapshot. */
  loadTree(tree: ZnodeTree): void {
    this.#tree = tree;
  }

  /** Takes a read of a client; see `EnsembleServer.submitRead`. */
  submit(now: number, token: Token, input: ClientRead): void {
    const { effects, pending, readiness, reads, writes, zab } = this.#parts;
    const { session, xid, request, atLeast = ZXID_ZERO } = input;
    if (input.linearizable || compareZxid(atLeast, this.#tree.lastApplied) > 0) {
      writes.submitSynced(now, token, xid, { session, request, atLeast });
      return;
    }
    const { isReady } = readiness;
    const waits = input.waits === true || (readiness.isWaking(now) && !input.stale);
    if ((session !== NO_SESSION && pending.has(session)) || (waits && !isReady)) {
      this.#wait(now, token, session, xid, request);
    } else if (!isReady && (!input.stale || zab.doubtsTree)) {
      effects.respond(token, xid, failed(this.#tree.lastApplied, "NO_QUORUM"));
    } else effects.respond(token, xid, reads.read(token, session, request));
  }

  /** Takes a request that needs no quorum. It is answered after earlier requests of its session. */
  submitLocal(now: number, token: Token, session: SessionId, xid: number, request: LocalRequest): void {
    const { effects, pending, reads } = this.#parts;
    if (pending.has(session)) this.#wait(now, token, session, xid, request);
    else effects.respond(token, xid, reads.read(token, session, request));
  }

  #wait(now: number, token: Token, session: SessionId, xid: number, request: LocalRequest): void {
    const deadline = now + this.#parts.config.requestTimeoutMs;
    this.#parts.pending.add({ type: "read", token, session, xid, request, deadline });
  }
}
