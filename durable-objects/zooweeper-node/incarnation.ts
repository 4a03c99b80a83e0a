/** One incarnation of the member: its state in memory, from its start to the loss of that memory. */
import type { ServerConfig } from "../../core/server/config.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import { EnsembleServer } from "../../core/server/server.ts";
import { MemberStorage } from "../../core/server/storage.ts";
import { asSid, type Sid } from "../../core/zab/membership.ts";
import type { FaultView } from "../shared/faults.ts";
import { type LinkListener, PeerLink, type PeerStub } from "../shared/peer-link.ts";
import { UPKEEP_MS } from "./config.ts";
import { EventFeed } from "./event-feed.ts";
import type { NodeConfig } from "./rpc.ts";
import type { SqliteBackend } from "./sqlite-backend.ts";

/** The interface of the object to an incarnation. */
export interface IncarnationPorts {
  readonly backend: SqliteBackend;
  readonly config: ServerConfig;
  /** Opens a stub of a peer. */
  connect(peer: Sid): PeerStub<PeerMessage>;
  /** receives the returns and failures of the calls to peers */
  readonly listener: LinkListener<PeerMessage>;
  /** The active faults. */
  faults(): readonly FaultView[];
  /** Sends an event to a listener of the feed. */
  send(socket: WebSocket, text: string): void;
}

/**
 * The core of a member with its storage, its links to the peers, and its event feed.
 * Invariant: an object begins at most one; when it has ended, the object aborts.
 * @source Zab, DSN 2011: the state of a process, of which storage survives a crash
 */
export class Incarnation {
  /** identity of the member */
  readonly config: NodeConfig;
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly links: ReadonlyMap<Sid, PeerLink<PeerMessage>>;
  readonly feed: EventFeed;
  readonly #backend: SqliteBackend;
  /** time of the last {@link upkeep}, ms since 1970 */
  #upkeptAt = 0;

  /** Recovers the member from storage. @throws ApplyError if the log has a txn that this version cannot apply */
  constructor(config: NodeConfig, ports: IncarnationPorts) {
    const { backend } = ports;
    this.config = config;
    this.#backend = backend;
    this.storage = new MemberStorage(backend);
    const { recovered, tree } = this.storage.recover(Date.now());
    this.#noteDamage(recovered.initialized);
    const [nonce = 0] = crypto.getRandomValues(new Uint32Array(1));
    this.server = new EnsembleServer({
      sid: asSid(config.sid),
      size: config.size,
      config: ports.config,
      log: this.storage.log,
      snapshot: this.storage,
      recovered,
      nonce,
      tree,
    });
    const self = { sid: config.sid, boot: recovered.boot };
    this.links = new Map(
      [...this.server.zab.links.keys()].map((peer) => [
        peer,
        new PeerLink(self, peer, () => ports.connect(peer), ports.listener),
      ]),
    );
    this.feed = new EventFeed(
      config.sid,
      recovered.boot,
      ports.config,
      () => ports.faults(),
      (socket, text) => ports.send(socket, text),
    );
  }

  /** Sets the damaged tree aside; the incarnation has to end. @param damage for the status */
  setTreeAside(damage: string): void {
    this.storage.setTreeAside(damage);
    this.#noteDamage(this.storage.meta.initialized);
  }

  /** Stores the damage that was found, for the status, until the member counts again. */
  #noteDamage(initialized: boolean): void {
    const { damage } = this.storage;
    if (damage === undefined) return;
    console.error(JSON.stringify({ event: "damage", ensemble: this.config, reason: damage }));
    if (!initialized) this.#backend.setValue("damage", JSON.stringify(damage));
  }

  /** The damage because of which this member counts in no quorum yet; undefined if it counts, or if its storage was empty. */
  get damage(): string | undefined {
    const text = this.#backend.value("damage");
    if (text === undefined || text === "null") return undefined;
    if (this.storage.meta.initialized) {
      this.#backend.setValue("damage", "null");
      return undefined;
    }
    return String(JSON.parse(text));
  }

  /** Makes a checkpoint, and cuts the log below it. */
  checkpoint(): void {
    const { tree, logRetention, zab } = this.server;
    this.storage.checkpoint(tree.takeChanges(this.storage.scrubbed), logRetention, zab.treeConfirmed);
  }

  /** Stores the end of the log, and deletes a quarantine that is no longer needed; at most once in {@link UPKEEP_MS}. */
  upkeep(now: number): void {
    if (now - this.#upkeptAt < UPKEEP_MS) return;
    this.#upkeptAt = now;
    this.storage.noteEnd();
    if (this.storage.isQuarantined && this.server.zab.hasConfirmedTree) this.storage.dropQuarantine();
  }
}
