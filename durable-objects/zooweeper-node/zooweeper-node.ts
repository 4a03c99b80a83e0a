/**
 * `ZooWeeperNode`: one member of an ensemble as a Durable Object. Its name is `{ensemble}/{sid}`.
 *
 * It decides nothing. What happens — a call of a peer, a client's request, the alarm — is fed to the core, and the effects
 * that come back are run in their order. Whatever it promises leaves through the output gate, so only once it is durable.
 */
import { DurableObject, RpcTarget } from "cloudflare:workers";
import { assert, assertNever } from "../../core/assert.ts";
import { ZOO_ERRORS, type ZooErrorCode } from "../../core/errors.ts";
import { hashToText } from "../../core/hash/chain.ts";
import type { RequestResult, ServerAnswer } from "../../core/server/answers.ts";
import { ANSWER_BYTES_MAX, makeServerConfig, type ServerConfig } from "../../core/server/config.ts";
import type { ServerEffect, ServerInput } from "../../core/server/effects.ts";
import {
  ApplyError,
  type Failure,
  isPassed,
  noteFailure,
  stoppedUntil,
  wordsOf,
} from "../../core/server/failure.ts";
import type { ParkedSession, Token } from "../../core/server/ids.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { QuietRecord } from "../../core/server/quiet.ts";
import { EnsembleServer } from "../../core/server/server.ts";
import { found, MemberStorage } from "../../core/server/storage.ts";
import { Turns } from "../../core/server/turns.ts";
import { PROTOCOL_VERSION } from "../../core/version.ts";
import { EncodedNames } from "../../core/wire/jute/encoded-names.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { asSid, isFoundingSize, type Sid } from "../../core/zab/membership.ts";
import { compareZxid, ZXID_ZERO, type Zxid, zxidFromText, zxidToText } from "../../core/zab/zxid.ts";
import {
  makeSessionId,
  NO_SESSION,
  type ReadRequest,
  type SessionId,
  type WriteResult,
} from "../../core/znode/types.ts";
import { changedAt, seenFromText, type WatchStreamKind } from "../../core/znode/watch-stream.ts";

import { CallOrder } from "../shared/call-order.ts";
import { type Counters, NO_COUNTERS } from "../shared/counters.ts";
import { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import { FaultGate } from "../shared/fault-gate.ts";
import type { FaultName, FaultView } from "../shared/faults.ts";
import { guarded } from "../shared/guarded.ts";
import {
  type Channel,
  type ChannelHost,
  ChannelStub,
  type Packed,
  pack,
  unpack,
} from "../shared/peer-channel.ts";
import {
  type Envelope,
  type LinkReturn,
  PeerLink,
  type PeerStub,
  REFUSED,
  RELEASED,
  type Refused,
  type Released,
} from "../shared/peer-link.ts";
import {
  BEAT_FRAME,
  BEATS_HEADER,
  inSlices,
  REPORTS_QUERY,
  SILENT_MS_MAX,
  StreamWindow,
  tryClose,
  trySend,
} from "../shared/sockets.ts";
import { StartGate } from "../shared/start-gate.ts";
import { pause, withTimeout } from "../shared/timeout.ts";
import { ClientSocket } from "./client-socket.ts";
import { EventFeed } from "./event-feed.ts";
import {
  type Answer,
  type NodeConfig,
  type NodeFault,
  type NodeStatus,
  type ReadInput,
  type ReadResult,
  type SessionOwner,
  UNKNOWN_PEERS,
  type Waited,
  type WatchCondition,
  type WriteInput,
  type ZooWeeperNodeRpc,
} from "./rpc.ts";
import { SqliteBackend } from "./sqlite-backend.ts";
import { WatchFanOut, WatchFeed, watchFor } from "./watch-feed.ts";

/** What the node needs of its environment: a deployment may leave out the variables, which have defaults. */
export type NodeEnv = Pick<Env, "ZOOWEEPER_NODE"> &
  Partial<Pick<Env, "BROKER" | "FAULTS" | "TICK_TIME_MS" | "LOG_RETAIN_TXNS" | "QUIET_AFTER_MS">>;

/** The limits that a deployment may set; all others have their defaults. @throws AssertionError for a value out of range */
function configOf(env: NodeEnv): ServerConfig {
  return makeServerConfig({
    ...(env.TICK_TIME_MS !== undefined && { tickTimeMs: Number(env.TICK_TIME_MS) }),
    ...(env.QUIET_AFTER_MS !== undefined && { quietAfterMs: Number(env.QUIET_AFTER_MS) }),
    ...(env.LOG_RETAIN_TXNS !== undefined && { logRetainTxns: Number(env.LOG_RETAIN_TXNS) }),
  });
}

/** A socket on `/ws` without a handshake is closed after so long, ms. */
const HANDSHAKE_MS_MAX = 15_000;

/** The end of the log is noted, and a quarantine deleted, no more often than this, ms. */
const UPKEEP_MS = 10_000;

/** Longest that `waitForChange` waits, ms: a caller that is gone must not wait for ever. */
const WAIT_MS_MAX = 60_000;

/** Wait for a peer to say whether it is whole, ms. */
const WHOLE_MS = 1_000;
/** How often a node asks whether it may lose its storage: another one may have been asking for itself. */
const WHOLE_TRIES = 3;
const WHOLE_PAUSE_MS = 100;

/** Time that the event of a fault which ends this object has to leave it, ms. */
const FAREWELL_MS = 10;

/** Longest that a call of a peer waits for the one before it, ms. A lost one breaks the link, so this is for a slow write. */
const CALL_WAIT_MS = 1_000;

/** One life of the member: from its start to the loss of its memory. */
interface Life {
  readonly config: NodeConfig;
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly links: ReadonlyMap<Sid, PeerLink<PeerMessage>>;
  readonly feed: EventFeed;
}

/** An object of ours whose session is parked: it says which session it has, and wakes. */
interface OwnerStub {
  wake(epoch: number): Promise<SessionId | null>;
}

type Resolver = (answer: ServerAnswer) => void;

/** The end of a peer's link at this node. */
class PeerChannel extends RpcTarget implements Channel {
  readonly #deliver: (envelope: Packed) => Promise<Packed>;

  constructor(deliver: (envelope: Packed) => Promise<Packed>) {
    super();
    this.#deliver = deliver;
  }

  deliver(envelope: Packed): Promise<Packed> {
    return this.#deliver(envelope);
  }
}

export class ZooWeeperNode extends DurableObject<NodeEnv> implements ZooWeeperNodeRpc {
  readonly #backend: SqliteBackend;
  readonly #alarm: DeadlineAlarm;
  readonly #gate: StartGate;
  readonly #faults: FaultGate;
  #life: Life | null = null;
  #tokens = 0;
  /** *map token → who waits for its answer* */
  readonly #resolvers = new Map<Token, Resolver>();
  /** *map token → what to do when its watch fires* */
  readonly #waiters = new Map<Token, () => void>();
  /** *map session → the wait of its owner* */
  readonly #owners = new Map<SessionId, Token>();
  /** waits that are not an owner's */
  #longPolls = 0;
  /** *map socket of a client, of any kind → time of its last sign of life* */
  readonly #open = new Map<WebSocket, number>();
  /** *map socket of a stream → what its reader has not read yet*, where the reader tells that */
  readonly #windows = new Map<WebSocket, StreamWindow>();
  /** what was counted before this object came into memory, and since */
  #counted: Counters = NO_COUNTERS;
  #requests = 0;
  #alarms = 0;
  /** orders that are about to cost it its storage: it counts as lost already */
  #losing = 0;
  readonly #clients = new Map<Token, ClientSocket>();
  readonly #watches = new Map<Token, WatchFeed>();
  readonly #fanOut = new WatchFanOut();
  /** runs once a tick while a stream is open */
  #beats: ReturnType<typeof setInterval> | undefined;
  /** a round of beats is under way */
  #beating = false;
  readonly #sockets = new Map<WebSocket, Token>();
  /** *map peer → ends the call that it has parked here* */
  readonly #parked = new Map<number, (word: Released | undefined) => void>();
  /** the call that is being handled was not understood */
  #isRefused = false;
  /** what the last lives could not apply; undefined: nothing */
  #failure: Failure | undefined;
  /** this life has ended, and what is noted of that becomes durable */
  #isEnding = false;
  /** clients to which this turn has written */
  readonly #dirty = new Set<ClientSocket>();
  /** when {@link #upkeep} was done last, ms since 1970 */
  #upkeptAt = 0;
  /** clients whose requests wait for their turn */
  readonly #turns = new Turns<ClientSocket>();
  #turnIsDue = false;
  readonly #names = new EncodedNames();
  /** *map sid → order of the calls of that peer's link* */
  readonly #orders = new Map<number, CallOrder>();

  constructor(ctx: DurableObjectState, env: NodeEnv) {
    super(ctx, env);
    this.#backend = new SqliteBackend(ctx.storage);
    this.#alarm = new DeadlineAlarm(ctx.storage, configOf(env).tickTimeMs);
    const counters = this.#backend.value("counters");
    if (counters !== undefined) this.#counted = { ...NO_COUNTERS, ...JSON.parse(counters) };
    const failure = this.#backend.value("failure");
    if (failure !== undefined) this.#failure = (JSON.parse(failure) ?? undefined) as Failure | undefined;
    this.#gate = new StartGate(() => this.#load());
    this.#faults = new FaultGate({
      enabled: env.FAULTS === "on",
      read: () => this.#backend.value("faults"),
      write: (text) => this.#backend.setValue("faults", text),
      healed: (fault) => {
        if (fault.fault === "corrupt") this.#backend.repair(fault);
      },
      changed: (began, ended) => this.#tellFaults(began, ended),
    });
    // The state of these sockets was in the lost memory; their clients reconnect.
    for (const socket of ctx.getWebSockets()) tryClose(socket, 1012, "the node has restarted");
    // A node that is asleep or killed does nothing on its start: its alarm may be all that starts it later.
    void this.#alarm.restore(this.#idleDeadline);
  }

  // ── start ────────────────────────────────────────────────────────────────

  #storedConfig(): NodeConfig | undefined {
    const text = this.#backend.value("config");
    return text === undefined ? undefined : (JSON.parse(text) as NodeConfig);
  }

  async #load(): Promise<void> {
    const config = this.#storedConfig();
    assert(config !== undefined, "a member knows who it is");
    try {
      this.#life = this.#begin(config);
    } catch (error) {
      if (error instanceof ApplyError) this.#noteFailure(error, this.#backend.readMeta().checkpoint.zxid);
      throw error;
    }
    this.#feed({ type: "start" });
  }

  /** Notes that this member cannot go past the txn behind `after`; after the second time it stops. */
  #noteFailure(error: ApplyError, after: Zxid): void {
    this.#failure = noteFailure(this.#failure, after, error.message, Date.now());
    this.#backend.setValue("failure", JSON.stringify(this.#failure));
  }

  /** When a member that has stopped may start again, ms since 1970; undefined: it has not stopped. */
  get #stoppedUntil(): number | undefined {
    return this.#life === null ? stoppedUntil(this.#failure, Date.now()) : undefined;
  }

  /** The tree has passed what could not be applied. */
  #forgetFailure(applied: Zxid): void {
    if (this.#failure === undefined || !isPassed(this.#failure, applied)) return;
    this.#failure = undefined;
    this.#backend.setValue("failure", "null");
  }

  #begin(config: NodeConfig): Life {
    const storage = new MemberStorage(this.#backend);
    const { recovered, tree } = storage.recover(Date.now());
    this.#noteDamage(config, storage, recovered.initialized);
    const [nonce = 0] = crypto.getRandomValues(new Uint32Array(1));
    const server = new EnsembleServer({
      sid: asSid(config.sid),
      size: config.size,
      config: configOf(this.env),
      log: storage.log,
      snapshot: storage,
      recovered,
      nonce,
      tree,
    });
    const self = { sid: config.sid, boot: recovered.boot };
    const links = new Map<Sid, PeerLink<PeerMessage>>();
    for (const peer of server.zab.links.keys()) {
      const connect = (): PeerStub<PeerMessage> => this.#peer(config, peer);
      links.set(
        peer,
        new PeerLink<PeerMessage>(self, peer, connect, {
          returned: (sid, generation, result) => this.#returned(asSid(sid), generation, result),
          broken: (sid, generation) => this.#feed({ type: "linkBroken", peer: asSid(sid), generation }),
        }),
      );
    }
    const feed = new EventFeed(
      config.sid,
      recovered.boot,
      server.config,
      () => this.#faults.list(),
      (socket, text) => this.#sendOnStream(socket, text),
    );
    return { config, server, storage, links, feed };
  }

  /** Remembers what was found damaged, for its status, until the member counts again. */
  #noteDamage(config: NodeConfig, storage: MemberStorage, initialized: boolean): void {
    if (storage.damage !== undefined) {
      console.error(JSON.stringify({ event: "damage", ensemble: config, reason: storage.damage }));
      if (!initialized) this.#backend.setValue("damage", JSON.stringify(storage.damage));
    }
  }

  /** What was found damaged, so that this member counts in no quorum yet; undefined: it does, or it never had anything. */
  #damageOf(life: Life): string | undefined {
    const text = this.#backend.value("damage");
    if (text === undefined || text === "null") return undefined;
    if (life.storage.meta.initialized) {
      this.#backend.setValue("damage", "null");
      return undefined;
    }
    return String(JSON.parse(text));
  }

  #peer(config: NodeConfig, sid: Sid): PeerStub<PeerMessage> {
    const namespace = this.env.ZOOWEEPER_NODE;
    const stub = namespace.get(namespace.idFromName(`${config.ensemble}/${sid}`));
    return this.#faults.wrap(sid, new ChannelStub<PeerMessage>(stub as unknown as ChannelHost));
  }

  /** Every request passes here. @throws Error that begins with NODE_DOWN: nothing was done */
  #enter(): Promise<Life | undefined> {
    this.#requests += 1;
    return this.#loaded();
  }

  async #loaded(): Promise<Life | undefined> {
    this.#alarm.check();
    if (this.#faults.paused) await this.#faults.running();
    if (this.#faults.killed) throw new Error(`NODE_DOWN: this node is killed ${this.#faults.killedFor}`);
    if (this.#life !== null) return this.#life;
    if (this.#isEnding) throw new Error("NODE_DOWN: this node ends its life");
    if (this.#failure !== undefined && this.#stoppedUntil !== undefined) {
      const since = new Date(this.#failure.sinceMs).toISOString();
      throw new Error(`NODE_DOWN: this node has stopped: ${wordsOf(this.#failure, since)}`);
    }
    this.#checkDatabase();
    if (this.#storedConfig() === undefined) return undefined;
    try {
      await this.#gate.pass();
    } catch (error) {
      throw new Error(`NODE_DOWN: this node cannot start: ${messageOf(error)}`);
    }
    return this.#life ?? undefined;
  }

  /** @throws Error that begins with NODE_DOWN */
  #checkDatabase(): void {
    const { broken } = this.#backend;
    if (broken !== undefined) throw new Error(`NODE_DOWN: this node cannot read its database: ${broken}`);
  }

  // ── the core ─────────────────────────────────────────────────────────────

  /** Feeds one input and runs what comes of it. @returns replies for the caller */
  #feed(input: ServerInput): PeerMessage[] {
    const life = this.#life;
    if (life === null || this.#faults.killed || this.#faults.holds(() => this.#feed(input))) return [];
    return this.#guard(life, (now) => life.server.step(now, input));
  }

  /** A core that finds an invariant broken, or storage that fails, ends this life; the next one starts from storage. */
  #guard(life: Life, step: (now: number) => ServerEffect[]): PeerMessage[] {
    return guarded(
      () => this.#takeStep(life, step),
      (error) => {
        if (error instanceof ApplyError) this.#endLife(error, life.server.tree.lastApplied);
        else this.#abort(messageOf(error));
      },
    );
  }

  #takeStep(life: Life, step: (now: number) => ServerEffect[]): PeerMessage[] {
    const now = this.#faults.now();
    life.server.zab.tracing = life.feed.tracing(now);
    const replies = this.#run(life, now, step(now));
    if (this.#failure !== undefined) this.#forgetFailure(life.server.tree.lastApplied);
    if (life.server.checkpointDue(life.storage.logBytes)) this.#checkpoint(life);
    // asleep too: an alarm that rang too early would else be the last one
    this.#alarm.ensure(life.server.deadline - this.#faults.skewMs);
    return replies;
  }

  /** Ends this life as {@link #abort} does, once what is to be known of it is durable. */
  #endLife(error: ApplyError, applied: Zxid): void {
    this.#life = null;
    this.#isEnding = true;
    const end = (): void => this.#abort(error.message);
    try {
      this.#noteFailure(error, applied);
      this.ctx.storage.sync().then(end, end);
    } catch {
      end();
    }
  }

  #checkpoint({ server, storage }: Life): void {
    const { tree, logRetention, zab } = server;
    storage.checkpoint(tree.takeChanges(), logRetention, tree.digest, zab.treeConfirmed);
  }

  #abort(reason: string): void {
    console.error(JSON.stringify({ event: "abort", ensemble: this.#life?.config, reason }));
    this.#life = null;
    this.ctx.abort(reason);
  }

  /** Runs effects in order. What goes to one peer between two writes goes in one call. */
  #run(life: Life, now: number, effects: readonly ServerEffect[]): PeerMessage[] {
    const replies: PeerMessage[] = [];
    const outgoing = new Map<Sid, { readonly generation: number; readonly messages: PeerMessage[] }>();
    for (const effect of effects) {
      switch (effect.type) {
        case "respond":
          this.#respond(effect.token, effect.xid, effect.answer);
          break;
        case "send": {
          const waiting = outgoing.get(effect.to);
          if (waiting !== undefined && waiting.generation === effect.generation)
            waiting.messages.push(effect.message);
          else {
            if (waiting !== undefined) life.links.get(effect.to)?.send(waiting.generation, waiting.messages);
            outgoing.set(effect.to, { generation: effect.generation, messages: [effect.message] });
          }
          break;
        }
        case "persist":
          this.#post(life, outgoing);
          life.storage.persist(effect.writes);
          this.ctx.storage.sync().then(
            () => this.#faults.stored(() => this.#feed({ type: "persisted", seq: effect.seq })),
            (error: unknown) => this.#abort(messageOf(error)),
          );
          break;
        case "reply":
          replies.push(effect.message);
          break;
        case "refuse":
          console.error(JSON.stringify({ event: "refused", ensemble: life.config, ...effect }));
          this.#isRefused = true;
          break;
        case "park":
          life.links.get(effect.peer)?.park(effect.generation);
          break;
        case "notify":
          this.#notify(effect);
          break;
        case "yield":
          setTimeout(() => this.#feed({ type: "yielded" }), 0);
          break;
        case "hold":
          setTimeout(() => this.#feed({ type: "released" }), effect.ms);
          break;
        case "trace":
          life.feed.record(now, effect.event);
          break;
        case "checkpoint":
          this.#checkpoint(life);
          replies.push(...this.#run(life, now, life.server.checkpointed(now)));
          break;
        case "reloadTree":
          replies.push(...this.#run(life, now, life.server.loadTree(now, life.storage.loadTree())));
          break;
        case "dropClients":
          this.#dropClients();
          break;
        case "asleep":
          this.#fallAsleep(life);
          break;
        case "wakeOwner":
          this.#wakeOwner(life, effect.parked);
          break;
        case "disconnect":
          this.#disconnect(effect);
          break;
        case "abort":
          throw new Error(effect.reason);
        default:
          assertNever(effect);
      }
    }
    this.#post(life, outgoing);
    for (const client of this.#dirty) {
      client.flush();
      if (client.isReady) this.#turns.add(client);
    }
    this.#dirty.clear();
    this.#scheduleTurn();
    this.#fanOut.flush();
    return replies;
  }

  #post(life: Life, outgoing: Map<Sid, { generation: number; messages: PeerMessage[] }>): void {
    for (const [peer, { generation, messages }] of outgoing) life.links.get(peer)?.send(generation, messages);
    outgoing.clear();
  }

  #respond(token: Token, xid: number, answer: ServerAnswer): void {
    const client = this.#clients.get(token);
    if (client !== undefined) {
      client.respond(xid, answer);
      this.#dirty.add(client);
      return;
    }
    const resolve = this.#resolvers.get(token);
    this.#resolvers.delete(token);
    resolve?.(answer);
  }

  #notify(effect: Extract<ServerEffect, { type: "notify" }>): void {
    const client = this.#clients.get(effect.token);
    if (client !== undefined) {
      client.notify(effect.event, effect.zxid);
      this.#dirty.add(client);
    }
    const feed = this.#watches.get(effect.token);
    if (feed !== undefined) {
      feed.note(effect.event, effect.zxid);
      this.#fanOut.add(feed);
    }
    this.#waiters.get(effect.token)?.();
  }

  #disconnect({ token, code }: Extract<ServerEffect, { type: "disconnect" }>): void {
    const client = this.#clients.get(token);
    if (client === undefined) return;
    client.end(code);
    this.#dirty.add(client);
  }

  /** Watch events were lost, or no longer reach this node: clients with watches reconnect, here or at another node. */
  #dropClients(): void {
    for (const socket of [...this.#sockets.keys()]) {
      this.#closeSocket(socket, 1012, "the node cannot tell of changes now");
    }
    for (const wake of [...this.#waiters.values()]) wake();
  }

  #returned(peer: Sid, generation: number, result: LinkReturn<PeerMessage>): void {
    const { boot, v: version, messages } = result;
    this.#feed({ type: "returned", peer, generation, boot, version, messages });
    const life = this.#life;
    if (life !== null && !life.server.zab.frozen) life.links.get(peer)?.parkAgain(generation);
  }

  #token(): Token {
    this.#tokens += 1;
    return this.#tokens as Token;
  }

  // ── peers ────────────────────────────────────────────────────────────────

  /** A peer is about to call. */
  channel(): PeerChannel {
    return new PeerChannel(async (packed) => {
      const envelope = unpack<Envelope<PeerMessage>>(packed);
      if (!this.#faults.active) return pack(await this.#deliver(envelope));
      return pack(
        await this.#faults.handle(envelope.from, () => this.#deliver(envelope)).catch(() => REFUSED),
      );
    });
  }

  /** A call of a peer. The answer is held until what it promises is durable. */
  async #deliver(envelope: Envelope<PeerMessage>): Promise<LinkReturn<PeerMessage> | Refused> {
    this.#alarm.check();
    if (this.#faults.killed || this.#isEnding || this.#stoppedUntil !== undefined) return REFUSED;
    const life = await this.#enter();
    if (life === undefined) return REFUSED;
    const { v: version, from, boot, generation, seq, messages } = envelope;
    const order = this.#orderOf(from);
    if (!order.isTurn(boot, generation, seq)) await new Promise<void>((go) => order.wait(seq, go));
    if (this.#faults.paused) await this.#faults.running();
    const origin = { from: asSid(from), boot, generation, seq, version };
    const replies = this.#feed({ type: "call", origin, messages });
    order.done(boot, generation, seq);
    if (this.#isRefused) {
      this.#isRefused = false;
      return REFUSED;
    }
    return { v: PROTOCOL_VERSION, boot: life.server.zab.boot, messages: replies };
  }

  #orderOf(peer: number): CallOrder {
    let order = this.#orders.get(peer);
    if (order === undefined) {
      order = new CallOrder(CALL_WAIT_MS);
      this.#orders.set(peer, order);
    }
    return order;
  }

  /** Stays open for as long as this life lasts and is awake: that it breaks is how peers see a crash at once. */
  async park(from: number): Promise<Released | undefined> {
    this.#alarm.check();
    if (this.#faults.killed || this.#isEnding || this.#stoppedUntil !== undefined) return undefined;
    return this.#faults.handle(from, async () => {
      const life = await this.#enter();
      if (life === undefined) return undefined;
      if (life.server.asleepSince !== null) return RELEASED;
      // What this peer parked on an older link is of no use any more.
      this.#parked.get(from)?.(undefined);
      // Held on to: a promise whose resolver is garbage is ended by the runtime, "Promise will never complete".
      return new Promise<Released | undefined>((resolve) => this.#parked.set(from, resolve));
    });
  }

  // ── sleep ────────────────────────────────────────────────────────────────

  /** What was noted when the ensemble fell asleep, if nothing has happened since and the memory is gone. */
  #asleepOnDisk(): QuietRecord | undefined {
    if (this.#life !== null || this.#gate.entered) return undefined;
    let damaged = false;
    const { quiet, currentEpoch } = this.#backend.readMeta(() => {
      damaged = true;
    });
    if (damaged) return undefined;
    const record = quiet === null ? null : (JSON.parse(quiet) as QuietRecord);
    return record?.epoch === currentEpoch ? record : undefined;
  }

  /** When the alarm of a node that has not started is to ring, ms since 1970; infinite: never. */
  get #idleDeadline(): number {
    if (this.#storedConfig() === undefined) return Number.POSITIVE_INFINITY;
    if (this.#faults.killed) return this.#faults.nextEnd;
    if (this.#stoppedUntil !== undefined) return this.#stoppedUntil;
    return (this.#asleepOnDisk()?.wakeAtMs ?? Number.POSITIVE_INFINITY) - this.#faults.skewMs;
  }

  get #isAsleep(): boolean {
    return this.#life === null ? this.#asleepOnDisk() !== undefined : this.#life.server.asleepSince !== null;
  }

  /** Lets go of everything that keeps the object in memory; what it costs is nothing from here on. */
  #fallAsleep(life: Life): void {
    this.#backend.setValue("counters", JSON.stringify(this.#countersNow()));
    this.#backend.setValue(
      "lastStatus",
      JSON.stringify(statusOf(life, this.#faults.now(), this.#countersNow())),
    );
    this.#alarm.only(life.server.deadline - this.#faults.skewMs);
    for (const link of life.links.values()) link.rest();
    for (const letGo of this.#parked.values()) letGo(RELEASED);
    this.#parked.clear();
    for (const token of [...this.#owners.values()]) this.#waiters.get(token)?.();
  }

  /** A request is about to be taken: wakes the ensemble and waits until this node serves, if it can. */
  async #rouse(life: Life, background = false): Promise<void> {
    const { server } = life;
    if (!server.zab.frozen && !server.waking) return;
    const request = { type: "exists", path: "/", watch: false } as const;
    const read = { session: NO_SESSION, xid: 0, request, linearizable: false, stale: false, background };
    await this.#submit(life, (token, now) => server.submitRead(now, token, read));
  }

  /** One that is dead, or has another session, loses this one at once; one that does not answer has its full timeout. */
  #wakeOwner(life: Life, { session, owner }: ParkedSession): void {
    const { BROKER } = this.env;
    if (BROKER === undefined) return;
    const name = `${life.config.ensemble}/${owner}`;
    const stub = BROKER.get(BROKER.idFromName(name)) as unknown as OwnerStub;
    const settle = (alive: boolean): void => {
      if (this.#life !== life) return;
      if (alive) {
        this.#guard(life, (now) => {
          life.server.touch(now, session, true);
          return life.server.flush(now);
        });
      } else void this.#closeOf(life, session);
    };
    stub.wake(life.server.zab.currentEpoch).then(
      (held) => settle(held === session),
      (error: unknown) => {
        if (messageOf(error).includes("BROKER_DOWN")) settle(false);
      },
    );
  }

  #countersNow(): Counters {
    const { log, checkpoint, meta, read } = this.#backend.rows;
    const { requests, alarms, logRows, checkpointRows, metaRows, rowsRead } = this.#counted;
    return {
      requests: requests + this.#requests,
      alarms: alarms + this.#alarms,
      logRows: logRows + log,
      checkpointRows: checkpointRows + checkpoint,
      metaRows: metaRows + meta,
      rowsRead: rowsRead + read,
    };
  }

  /** Tells the core how many clients are connected. */
  #clientsChanged(life: Life): void {
    life.server.setClients(this.#faults.now(), this.#open.size + this.#longPolls);
  }

  // ── clients ──────────────────────────────────────────────────────────────

  async bootstrap(config: NodeConfig): Promise<Answer<{ readonly created: boolean }>> {
    this.#alarm.check();
    if (this.#faults.killed) throw new Error(`NODE_DOWN: this node is killed ${this.#faults.killedFor}`);
    this.#checkDatabase();
    const { ensemble, sid, size } = config;
    if (!isFoundingSize(size) || !Number.isInteger(sid) || sid < 1 || sid > size) {
      return failure("BAD_ARGUMENTS", "an ensemble has 1, 3, 5, 7 or 9 members, numbered from 1");
    }
    const stored = this.#storedConfig();
    if (stored !== undefined && stored.size !== size) {
      return failure("ENSEMBLE_EXISTS", `the ensemble has ${stored.size} nodes`);
    }
    // The Worker asks whenever it does not know; a member that sleeps is a member.
    if (stored !== undefined && this.#isAsleep) {
      return { ok: true, zxid: this.#lastStatus()?.appliedZxid ?? "0x0", value: { created: false } };
    }
    if (stored === undefined) {
      this.#backend.transaction(() => {
        found(this.#backend);
        this.#backend.setValue("config", JSON.stringify({ ensemble, sid, size }));
      });
    }
    const life = await this.#enter();
    assert(life !== undefined, "a founded member starts");
    return success(life, { created: stored === undefined });
  }

  async write(input: WriteInput): Promise<Answer<WriteResult>> {
    const life = await this.#enter();
    if (life === undefined) return UNKNOWN_ENSEMBLE;
    const answer = await this.#submit(life, (token, now) =>
      life.server.submitWrite(now, token, {
        session: input.session,
        xid: input.xid,
        ...encodeWrite(input.request),
      }),
    );
    return toAnswer(life, answer) as Answer<WriteResult>;
  }

  async read(input: ReadInput): Promise<Answer<ReadResult>> {
    const life = await this.#enter();
    if (life === undefined) return UNKNOWN_ENSEMBLE;
    const { session, request, consistency, stale, background = false } = input;
    const atLeast = zxidFromText(input.atLeast ?? "");
    const answer = await this.#submit(life, (token, now) =>
      life.server.submitRead(now, token, {
        session,
        xid: 0,
        request: withoutWatch(request),
        linearizable: consistency === "linearizable",
        stale,
        background,
        atLeast,
      }),
    );
    if (!answer.ok && answer.code === "BAD_ARGUMENTS") return failure(answer.code, UNSEEN, life);
    // Without a quorum this is not known, and a client that accepts stale answers accepts this one.
    const canTell = life.server.ready || !stale;
    const lost = session !== NO_SESSION && canTell ? await this.#lossOf(life, session) : undefined;
    if (lost !== undefined) return lost;
    return toAnswer(life, answer) as Answer<ReadResult>;
  }

  async openSession(
    timeoutMs: number,
  ): Promise<Answer<{ readonly session: SessionId; readonly timeoutMs: number }>> {
    const life = await this.#enter();
    if (life === undefined) return UNKNOWN_ENSEMBLE;
    const session = this.#newSessionId(life);
    const open = encodeWrite({ type: "createSession", timeoutMs });
    const answer = await this.#submit(life, (token, now) =>
      life.server.submitWrite(now, token, { session, xid: 0, ...open }),
    );
    if (!answer.ok) return failure(answer.code, undefined, life);
    assert(answer.result.type === "createSession", "opening a session answers with it");
    return success(life, { session, timeoutMs: answer.result.timeoutMs });
  }

  async touchSession(
    session: SessionId,
    background = false,
  ): Promise<Answer<{ readonly timeoutMs: number }>> {
    const life = await this.#enter();
    if (life === undefined) return UNKNOWN_ENSEMBLE;
    const stands = background && life.server.standsStill(session);
    if (!stands) await this.#rouse(life, background);
    if (!life.server.ready) return failure("NO_QUORUM", undefined, life);
    const lost = await this.#lossOf(life, session);
    if (lost !== undefined) return lost;
    const known = life.server.tree.sessions.get(session);
    if (known === undefined) return failure("SESSION_EXPIRED", undefined, life);
    this.#guard(life, (now) => {
      life.server.touch(now, session, background);
      return life.server.flush(now);
    });
    return success(life, { timeoutMs: known.timeoutMs });
  }

  /** undefined: the session lives. One that this node does not know is over when a quorum does not know it either. */
  async #lossOf(life: Life, session: SessionId): Promise<Answer<never> | undefined> {
    if (life.server.tree.sessions.has(session)) return undefined;
    const caughtUp = await this.#confirm(life);
    if (!caughtUp.ok) return failure(caughtUp.code, undefined, life, caughtUp.zxid);
    return life.server.tree.sessions.has(session) ? undefined : failure("SESSION_EXPIRED", undefined, life);
  }

  /**
   * Catches up with the quorum: what this node does not know then is not there, rather than not there yet.
   * @param atLeast no need to, when this was applied here
   */
  #confirm(life: Life, atLeast?: Zxid): Promise<ServerAnswer> {
    const request = { type: "exists", path: "/", watch: false } as const;
    return this.#submit(life, (token, now) =>
      life.server.submitRead(now, token, {
        session: NO_SESSION,
        xid: 0,
        request,
        linearizable: atLeast === undefined,
        stale: false,
        atLeast,
      }),
    );
  }

  async closeSession(session: SessionId): Promise<Answer<null>> {
    const life = await this.#enter();
    if (life === undefined) return UNKNOWN_ENSEMBLE;
    const answer = await this.#closeOf(life, session);
    if (!answer.ok) return failure(answer.code, undefined, life);
    if (answer.result.type === "error") return failure(answer.result.code, undefined, life);
    return success(life, null);
  }

  #closeOf(life: Life, session: SessionId): Promise<ServerAnswer> {
    const close = encodeWrite({ type: "closeSession" });
    return this.#submit(life, (token, now) =>
      life.server.submitWrite(now, token, { session, xid: 0, ...close }),
    );
  }

  #newSessionId(life: Life): SessionId {
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
    return makeSessionId(life.config.sid, (high % 2 ** 17) * 2 ** 32 + low);
  }

  /** Submits a request and waits for its answer. */
  #submit(life: Life, submit: (token: Token, now: number) => void): Promise<ServerAnswer> {
    const token = this.#token();
    const answer = new Promise<ServerAnswer>((resolve) => {
      this.#resolvers.set(token, resolve);
    });
    this.#guard(life, (now) => {
      submit(token, now);
      return life.server.flush(now);
    });
    return answer;
  }

  async waitForChange(input: {
    readonly conditions: readonly WatchCondition[];
    readonly timeoutMs: number;
    readonly owner?: SessionOwner;
  }): Promise<Answer<Waited>> {
    const life = await this.#enter();
    if (life === undefined) return UNKNOWN_ENSEMBLE;
    const { owner } = input;
    await this.#rouse(life, owner !== undefined);
    const since = input.conditions.map((condition) => zxidFromText(condition.since));
    if (since.includes(undefined)) return failure("BAD_ARGUMENTS", "`since` is a zxid", life);
    const changed = (): number[] =>
      input.conditions.flatMap(({ path, kind }, index) => {
        const at = changedAt(life.server.tree, path, kind);
        const seen = since[index];
        return seen !== undefined && compareZxid(at, seen) !== 0 ? [index] : [];
      });
    if (!life.server.ready) return failure("NO_QUORUM", undefined, life);
    const now = changed();
    if (now.length > 0) return success(life, { changed: now });
    const token = this.#token();
    this.#beginWait(life, token, owner);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(Math.max(input.timeoutMs, 0), WAIT_MS_MAX));
      this.#waiters.set(token, () => {
        clearTimeout(timer);
        resolve();
      });
      for (const { path, kind } of input.conditions) watchFor(life.server, path, kind, token);
    });
    this.#waiters.delete(token);
    life.server.forget(token);
    this.#endWait(life, token, owner);
    const asleep = owner !== undefined && life.server.asleepSince !== null;
    if (asleep) return success(life, { changed: [], asleep: life.server.zab.currentEpoch });
    return success(life, { changed: changed() });
  }

  #beginWait(life: Life, token: Token, owner: SessionOwner | undefined): void {
    if (owner === undefined) {
      this.#longPolls += 1;
      this.#clientsChanged(life);
    } else {
      this.#owners.set(owner.session, token);
      life.server.parked.set(owner.session, owner.owner);
    }
  }

  #endWait(life: Life, token: Token, owner: SessionOwner | undefined): void {
    if (owner === undefined) {
      this.#longPolls -= 1;
      this.#clientsChanged(life);
    } else if (this.#owners.get(owner.session) === token) {
      this.#owners.delete(owner.session);
      life.server.parked.delete(owner.session);
    }
  }

  async status(): Promise<NodeStatus> {
    this.#alarm.check();
    if (!this.#faults.killed && !this.#faults.paused && this.#isAsleep) {
      const last = this.#lastStatus();
      if (last !== undefined) return this.#losing > 0 ? { ...last, serving: false } : last;
    }
    const life = await this.#loaded();
    if (life === undefined) throw new Error("NODE_DOWN: this node was never founded");
    const now = statusOf(life, this.#faults.now(), this.#countersNow());
    const damage = this.#damageOf(life);
    const status = damage === undefined ? now : { ...now, damage, reason: reasonOfDamage(damage) };
    return this.#losing > 0 ? { ...status, serving: false } : status;
  }

  /** What it would have said when it fell asleep. */
  #lastStatus(): NodeStatus | undefined {
    const text = this.#backend.value("lastStatus");
    return text === undefined ? undefined : (JSON.parse(text) as NodeStatus);
  }

  // ── sockets ──────────────────────────────────────────────────────────────

  override async fetch(request: Request): Promise<Response> {
    const life = await this.#enter();
    if (life === undefined) return new Response("UNKNOWN_ENSEMBLE", { status: 404 });
    if (request.headers.get("upgrade") !== "websocket")
      return new Response("upgrade required", { status: 426 });
    await this.#rouse(life);
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/ws":
        return this.#acceptClient(life);
      case "/watch":
        return this.#acceptWatch(life, url.searchParams);
      case "/events":
        return this.#acceptEvents(life, url.searchParams);
      default:
        return new Response("no such socket", { status: 404 });
    }
  }

  /** Takes a socket; the node counts one client more. `client` is the other end. */
  #accept(life: Life): { readonly client: WebSocket; readonly server: WebSocket } {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    this.#open.set(server, Date.now());
    this.#guard(life, (at) => {
      this.#clientsChanged(life);
      return life.server.flush(at);
    });
    return { client, server };
  }

  #acceptClient(life: Life): Response {
    const { client, server } = this.#accept(life);
    const token = this.#token();
    this.#sockets.set(server, token);
    this.#clients.set(
      token,
      new ClientSocket(token, server, {
        server: life.server,
        now: () => this.#faults.now(),
        names: this.#names,
        newSessionId: () => this.#newSessionId(life),
        close: (code, reason) => this.#closeSocket(server, code, reason),
      }),
    );
    return new Response(null, { status: 101, webSocket: client });
  }

  /** A node outside of a quorum, or behind what the reader has seen, refuses: the Worker asks the next one. */
  async #acceptWatch(life: Life, query: URLSearchParams): Promise<Response> {
    if (!life.server.ready) return unavailable("this node is not part of a quorum now");
    const path = query.get("path") ?? "/";
    const kind = (query.get("kind") ?? "data") as WatchStreamKind;
    const seen = seenFromText(query.get("since") ?? "");
    // It would tell older states again, or go back.
    const current = await this.#confirm(life, seen?.zxid ?? ZXID_ZERO);
    if (!current.ok || this.#life !== life) {
      return unavailable("this node is behind what the reader has seen");
    }
    const { client, server } = this.#acceptStream(life, query);
    const token = this.#token();
    this.#sockets.set(server, token);
    const send = (socket: WebSocket, text: string): void => this.#sendOnStream(socket, text);
    const feed = new WatchFeed(token, server, life.server, path, kind, seen, send);
    this.#watches.set(token, feed);
    feed.tell();
    return this.#stream(life, client);
  }

  #acceptEvents(life: Life, query: URLSearchParams): Response {
    const { client, server } = this.#acceptStream(life, query);
    life.feed.listen(server, query.get("after"), Date.now(), query.has("replay"));
    return this.#stream(life, client);
  }

  #acceptStream(
    life: Life,
    query: URLSearchParams,
  ): { readonly client: WebSocket; readonly server: WebSocket } {
    const ends = this.#accept(life);
    if (query.has(REPORTS_QUERY)) this.#windows.set(ends.server, new StreamWindow());
    return ends;
  }

  /** Sends on a stream, or closes it when its reader has too much unread; the Worker resumes by the last id. */
  #sendOnStream(socket: WebSocket, text: string): void {
    const outcome = this.#windows.get(socket)?.sent(text.length) ?? "open";
    if (outcome === "open") trySend(socket, text);
    // It is forgotten when its other end has closed it too, or was silent for too long.
    else if (outcome === "overrun") tryClose(socket, 1013, "too much of the stream is unread");
  }

  /** The answer that opens a stream, which gets beats from now on. */
  #stream(life: Life, webSocket: WebSocket): Response {
    const { tickTimeMs } = life.server.config;
    this.#beats ??= setInterval(() => this.#beat(), tickTimeMs);
    return new Response(null, { status: 101, webSocket, headers: { [BEATS_HEADER]: `${tickTimeMs}` } });
  }

  /**
   * Says on every stream that this node is alive. A node that stands still, or whose core is overdue, says nothing, so the
   * Worker ends its streams; one that is out of the quorum ends its watches itself, and they continue at another node.
   */
  #beat(): void {
    const life = this.#life;
    if (life === null || (this.#watches.size === 0 && life.feed.listeners.size === 0)) {
      if (this.#beats !== undefined) clearInterval(this.#beats);
      this.#beats = undefined;
      return;
    }
    if (this.#faults.paused || this.#faults.killed || this.#beating) return;
    const { server } = life;
    if (this.#faults.now() > server.deadline + server.config.tickTimeMs) return;
    const watches = [...this.#watches.values()].map(({ socket }) => socket);
    if (!server.ready) {
      for (const socket of watches) this.#closeSocket(socket, 1012, "the node is not part of a quorum now");
    }
    // A round that takes longer than a tick is not overtaken by the next one.
    this.#beating = true;
    inSlices(
      [...life.feed.listeners, ...(server.ready ? watches : [])],
      (socket) => trySend(socket, BEAT_FRAME),
      () => {
        this.#beating = false;
      },
    );
  }

  override async webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): Promise<void> {
    this.#alarm.check();
    if (this.#open.has(socket) && !this.#clientOf(socket)) this.#open.set(socket, Date.now());
    if (typeof message === "string") this.#windows.get(socket)?.heard(message);
    const life = await this.#enter();
    const client = this.#clientOf(socket);
    if (life === undefined || client === undefined || typeof message === "string") return;
    this.#dirty.add(client);
    this.#guard(life, (now) => {
      this.#turns.spend(client.receive(new Uint8Array(message), this.#turns.isFree(Date.now())));
      return life.server.flush(now);
    });
  }

  /** Serves the clients whose requests wait, in a circle, behind a turn of I/O. */
  #scheduleTurn(): void {
    if (this.#turnIsDue || this.#turns.waiting === 0) return;
    this.#turnIsDue = true;
    setTimeout(() => {
      this.#turnIsDue = false;
      void this.#turn();
    }, 0);
  }

  async #turn(): Promise<void> {
    // a node that is paused serves nobody; one that is killed has no clients
    const life = await this.#loaded().catch(() => undefined);
    if (life === undefined) return;
    this.#turns.begin(Date.now());
    this.#guard(life, (now) => {
      for (let client = this.#turns.next(); client !== undefined; client = this.#turns.next()) {
        this.#dirty.add(client);
        this.#turns.spend(client.serve());
        if (client.isReady) this.#turns.add(client);
      }
      return life.server.flush(now);
    });
  }

  #clientOf(socket: WebSocket): ClientSocket | undefined {
    const token = this.#sockets.get(socket);
    return token === undefined ? undefined : this.#clients.get(token);
  }

  /** Sessions have timeouts of their own; a socket on which none was opened has not. */
  #closeSilent(): void {
    const now = Date.now();
    for (const [socket, at] of this.#open) {
      const client = this.#clientOf(socket);
      if (client === undefined) {
        if (now - at >= SILENT_MS_MAX) this.#closeSocket(socket, 1001, "silence");
      } else if (!client.shookHands && now - at >= HANDSHAKE_MS_MAX) {
        this.#closeSocket(socket, 1001, `no handshake within ${HANDSHAKE_MS_MAX / 1000} s`);
      }
    }
  }

  /** Closes the clients that have too much unread and do not read. */
  #closeStalled(): void {
    for (const client of this.#clients.values()) if (client.closeStalled()) client.flush();
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#alarm.check();
    this.#closeSocket(socket, code === 1005 || code === 1006 ? 1000 : code, reason);
  }

  override webSocketError(socket: WebSocket): void {
    this.#forgetSocket(socket);
  }

  #closeSocket(socket: WebSocket, code: number, reason: string): void {
    this.#forgetSocket(socket);
    tryClose(socket, code, reason);
  }

  #forgetSocket(socket: WebSocket): void {
    this.#life?.feed.unlisten(socket, Date.now());
    this.#windows.delete(socket);
    if (this.#open.delete(socket) && this.#life !== null) this.#clientsChanged(this.#life);
    const token = this.#sockets.get(socket);
    if (token === undefined) return;
    this.#sockets.delete(socket);
    const client = this.#clients.get(token);
    if (client !== undefined) this.#turns.remove(client);
    this.#clients.delete(token);
    this.#watches.delete(token);
    this.#life?.server.forget(token);
  }

  // ── time ─────────────────────────────────────────────────────────────────

  /** Once in a while: it is a row that is paid for. */
  #upkeep(): void {
    const now = Date.now();
    const life = this.#life;
    if (life === null || this.#faults.paused || now - this.#upkeptAt < UPKEEP_MS) return;
    this.#upkeptAt = now;
    life.storage.noteEnd();
    if (life.storage.isQuarantined && life.server.zab.hasConfirmedTree) life.storage.dropQuarantine();
  }

  /** Never throws: a handler that does is called again, with ever longer pauses. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    if (this.#faults.killed) {
      // a kill that ends by itself: then somebody must wake the member
      this.#alarm.ensure(this.#faults.nextEnd);
      return;
    }
    if (this.#stoppedUntil !== undefined) {
      this.#alarm.ensure(this.#stoppedUntil);
      return;
    }
    this.#alarms += 1;
    if (this.#asleepOnDisk() !== undefined && Date.now() < this.#idleDeadline) {
      this.#alarm.ensure(this.#idleDeadline);
      return;
    }
    try {
      if ((await this.#loaded()) === undefined) return;
      this.#closeSilent();
      this.#closeStalled();
      this.#upkeep();
      this.#feed({ type: "tick" });
    } catch (error) {
      console.error(JSON.stringify({ event: "alarm", reason: messageOf(error) }));
      // Nobody else may wake a member that could not start.
      this.#alarm.ensure(Date.now() + configOf(this.env).tickTimeMs);
    }
  }

  // ── faults ───────────────────────────────────────────────────────────────

  async fault(order: "kill" | "revive" | "crash" | NodeFault): Promise<number | undefined> {
    if (order === "revive") {
      await this.heal("kill");
      return;
    }
    if (this.env.FAULTS !== "on") throw new Error("faults are off");
    const fault: NodeFault =
      order === "kill" ? { fault: "kill", ttlMs: null } : order === "crash" ? { fault: "crash" } : order;
    if (fault.fault !== "wipe") this.#checkDatabase();
    else if (this.#backend.broken !== undefined) {
      // Most of what it holds may be intact.
      if (!fault.force) return UNKNOWN_PEERS;
      await this.#wipe();
      this.ctx.abort(fault.fault);
      return;
    }
    const config = this.#storedConfig();
    if (config === undefined) throw new Error("NODE_DOWN: this node was never founded");
    if ((fault.fault === "wipe" || fault.fault === "corrupt") && !fault.force) {
      const left = await this.#leavesTooFew(config);
      if (left !== undefined) return left;
    }
    switch (fault.fault) {
      case "crash":
        await this.#tellEnd("crash");
        break;
      case "evict":
        await this.#tellEnd("evict");
        await this.ctx.storage.sync();
        break;
      case "wipe":
        await this.#tellEnd("wipe");
        await this.#wipe();
        break;
      case "corrupt": {
        const damaged = this.#backend.damage(fault.row);
        if (damaged === undefined) {
          if (!fault.force) this.#losing -= 1;
          return;
        }
        this.#faults.inflict({ fault: "corrupt", ...damaged }, fault.ttlMs, 0);
        await this.ctx.storage.sync();
        break;
      }
      case "kill":
      case "pause":
      case "isolate":
      case "drop":
      case "delay":
      case "duplicate":
      case "lose-return":
      case "skew":
      case "slow-storage": {
        const { ttlMs, seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0, ...lasting } = fault;
        this.#faults.inflict(lasting, ttlMs, seed);
        if (fault.fault !== "kill") return;
        await this.#letGo();
        // if it ends by itself, nobody else may wake the member then
        this.#alarm.ensure(this.#faults.nextEnd);
        await this.ctx.storage.sync();
        break;
      }
      default:
        assertNever(fault);
    }
    this.#life = null;
    this.ctx.abort(fault.fault);
  }

  async #wipe(): Promise<void> {
    this.#life = null;
    await this.#backend.wipe(["config", "faults"], Date.now());
    await this.ctx.storage.sync();
  }

  /**
   * From here on this node counts as lost, unless too few others are whole. Of those that ask this at the same time the
   * last one to begin sees that all others have begun: a majority stays, whatever they decide.
   * @returns how many others are whole, if they are too few
   */
  async #leavesTooFew({ ensemble, sid, size }: NodeConfig): Promise<number | undefined> {
    const namespace = this.env.ZOOWEEPER_NODE;
    const peers = Array.from({ length: size }, (_, i) => i + 1).filter((peer) => peer !== sid);
    for (let tries = 1; ; tries++) {
      this.#losing += 1;
      const views = await Promise.all(
        peers.map((peer) => {
          const stub = namespace.get(namespace.idFromName(`${ensemble}/${peer}`));
          return withTimeout((stub as unknown as ZooWeeperNodeRpc).status(), WHOLE_MS).catch(() => undefined);
        }),
      );
      const whole = views.filter((view) => view?.serving === true).length;
      if (whole > size / 2) return undefined;
      this.#losing -= 1;
      if (tries === WHOLE_TRIES || !views.some((view) => view?.serving === false)) return whole;
      await pause(Math.random() * WHOLE_PAUSE_MS);
    }
  }

  /** Tells a fault that ends this object. */
  #tellEnd(began: "crash" | "evict" | "wipe"): Promise<void> {
    this.#tellFaults(began);
    return this.#letGo();
  }

  /** Lets the last event leave: what was written on a socket goes in a later turn, and an abort takes it along. */
  async #letGo(): Promise<void> {
    if ((this.#life?.feed.listeners.size ?? 0) > 0) await pause(FAREWELL_MS);
  }

  /** Tells who listens. One that does not listen here now learns of it when it connects, or by {@link faults}. */
  #tellFaults(
    began: FaultName | "crash" | "evict" | "wipe" | undefined,
    ended: readonly FaultName[] = [],
  ): void {
    this.#life?.feed.record(Date.now(), {
      type: "fault",
      ...(began !== undefined && { began }),
      ...(ended.length > 0 && { ended }),
      faults: this.#faults.list(),
    });
  }

  async heal(fault?: FaultName): Promise<readonly FaultName[]> {
    if (this.env.FAULTS !== "on") throw new Error("faults are off");
    if (this.#storedConfig() === undefined) throw new Error("NODE_DOWN: this node was never founded");
    const healed = this.#faults.heal(fault);
    // Its alarm may have been asleep. What it still cannot do is not this call's failure.
    if (healed.length > 0 && !this.#faults.killed && !this.#faults.paused)
      await this.#enter().catch(() => undefined);
    return healed;
  }

  async faults(): Promise<readonly FaultView[]> {
    this.#alarm.check();
    return this.#faults.list();
  }
}

const reasonOfDamage = (damage: string): string =>
  `its storage was damaged (${damage}): it set its state aside, and counts in no quorum until it has synchronised`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const unavailable = (why: string): Response => new Response(why, { status: 503 });

const UNSEEN = "no quorum knows of the zxid that the client says it has seen";

const UNKNOWN_ENSEMBLE = {
  ok: false,
  code: "UNKNOWN_ENSEMBLE",
  message: "this node was never founded",
} as const satisfies Answer<never>;

/** A read over RPC: it leaves no watch, and its answer must fit into a message. */
const withoutWatch = (request: ReadRequest): ReadRequest =>
  request.type === "getChildren"
    ? { ...request, watch: false, bytesMax: ANSWER_BYTES_MAX }
    : { ...request, watch: false };

function success<T>(life: Life, value: T): Answer<T> {
  return { ok: true, zxid: zxidToText(life.server.tree.lastApplied), value };
}

/** @param at where the tree stood that the answer is of; it may have gone on since */
function failure(
  code: ZooErrorCode,
  message: string = ZOO_ERRORS[code].title,
  life?: Life,
  at = life?.server.tree.lastApplied,
): Answer<never> {
  if (life === undefined || at === undefined) return { ok: false, code, message };
  const { leader } = life.server.zab;
  const zxid = zxidToText(at);
  return leader === null ? { ok: false, code, message, zxid } : { ok: false, code, message, zxid, leader };
}

/** Operating errors are values, whether the core refused the request or the tree did. */
function toAnswer(life: Life, answer: ServerAnswer): Answer<unknown> {
  if (!answer.ok) return failure(answer.code, undefined, life, answer.zxid);
  if (answer.result.type === "error") return failure(answer.result.code, undefined, life, answer.zxid);
  return { ok: true, zxid: zxidToText(answer.zxid), value: detached(answer.result) };
}

/** Data of the tree are views of shared slabs: a clone would carry the whole slab across. */
function detached(result: RequestResult): RequestResult {
  return result.type === "getData" && result.data !== null
    ? { ...result, data: result.data.slice() }
    : result;
}

function statusOf(life: Life, now: number, counters: Counters): NodeStatus {
  const { server, config } = life;
  const { zab, tree } = server;
  return {
    ...config,
    role: zab.role,
    phase: zab.phase,
    leader: zab.leader,
    acceptedEpoch: zab.acceptedEpoch,
    currentEpoch: zab.currentEpoch,
    lastZxid: zxidToText(zab.lastLogged.zxid),
    committedZxid: zxidToText(zab.lastCommittedZxid),
    appliedZxid: zxidToText(tree.lastApplied),
    digest: hashToText({ high: tree.digestHigh, low: tree.digestLow }),
    activeSet: [...zab.activeSet],
    boot: zab.boot,
    version: zab.version,
    lastEvent: life.feed.lastId,
    sessions: tree.sessions.size,
    znodes: tree.size,
    watches: server.watches.count,
    elections: zab.elections,
    serving: server.ready,
    ...(server.ready || zab.reason === "" ? {} : { reason: zab.reason }),
    ...(life.storage.isQuarantined && { quarantined: true as const }),
    quiet: server.asleepSince !== null,
    quietSince: server.asleepSince,
    counters,
    pings: [...zab.links].map(([sid, link]) => ({
      sid,
      version: link.version === 0 ? null : link.version,
      ...(server.refused.has(sid) && { refused: server.refused.get(sid) as string }),
      rttMs: link.rttMs,
      heardMsAgo: link.heardAt === null ? null : now - link.heardAt,
      role: link.role,
    })),
  };
}
