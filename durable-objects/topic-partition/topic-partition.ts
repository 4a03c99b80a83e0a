/**
 * `TopicPartition`: the object that holds one partition's log. Its name is `{ensemble}/{topicId}/{partition}`.
 *
 * It keeps Kafka record batches as they came, commits them in groups, fences by leader epoch and serves reads, long
 * polls and live tails. All decisions are `core/broker/partition.ts`'s; here are rows, timers and sockets.
 * Answers leave through the output gate: no record is acknowledged or delivered before it is durable.
 */
import { DurableObject } from "cloudflare:workers";
import { PARTITION_CONFIG, type PartitionConfig, validatePartitionConfig } from "../../core/broker/config.ts";
import {
  type AppendRequest,
  type AppendResult,
  checkLeaderEpoch,
  checkReadOffset,
  claimKey,
  decideLeadership,
  EMPTY_PARTITION,
  highWatermark,
  type IdempotencyKey,
  type KeyEntry,
  type Leadership,
  type PartitionFailure,
  type PartitionState,
  planFlush,
  type ReadFrom,
} from "../../core/broker/partition.ts";
import { corrupt, type Damage, type Piece, piecesOf } from "../../core/broker/stored-chunk.ts";
import { MINUTE_MS, SECOND_MS } from "../../core/units.ts";
import { batchesOf, decodeRecords } from "../../core/wire/record-batch-codec.ts";
import type { BrokerRpc } from "../broker/rpc.ts";
import { bounded } from "../shared/bounded.ts";
import { DeadlineAlarm } from "../shared/deadline-alarm.ts";
import { tryClose } from "../shared/sockets.ts";
import { AppendQueue, type Waiting } from "./append-queue.ts";
import { type Chunk, ChunkStore, DamagedLogError } from "./chunk-store.ts";
import type {
  LogBounds,
  PartitionAnswer,
  PartitionStatus,
  ReadAnswer,
  ReadRequest,
  TopicPartitionRpc,
} from "./rpc.ts";
import { Tails } from "./tails.ts";

const NOTHING = new Uint8Array();

/** ms that the alarm may be late before it counts as lost: nobody waits for a key to be forgotten */
const ALARM_SLACK_MS = MINUTE_MS;

/** The end of the log is noted so long after a commit, and again no sooner than after the pause; ms. */
const NOTE_END_MS = { least: 1_000, pause: 5_000 } as const;

/** Wait for a broker to say who leads, ms. */
const LEADERSHIP_MS = 2_000;

export class TopicPartition extends DurableObject<Env> implements TopicPartitionRpc {
  readonly #config: PartitionConfig = validatePartitionConfig(PARTITION_CONFIG);
  readonly #store: ChunkStore;
  readonly #queue: AppendQueue;
  readonly #tails: Tails;
  /** newest chunks, oldest first; a cache of rows */
  #cache: Chunk[] = [];
  #cacheBytes = 0;
  #state: PartitionState;
  #timestampMax: number;
  /** why nothing can be taken or read before it is known again who leads; undefined: it can */
  #damage: string | undefined;
  /** the brokers are asked who leads */
  #recovering: Promise<void> | undefined;
  readonly #isReadable: boolean;
  #noting: ReturnType<typeof setTimeout> | undefined;
  /** when the end of the log was noted last, ms since 1970 */
  #notedAt = 0;
  /** callers of a long poll; each takes itself out */
  readonly #pollers = new Set<() => void>();
  readonly #alarm: DeadlineAlarm;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new ChunkStore(ctx.storage);
    this.#alarm = new DeadlineAlarm(ctx.storage, ALARM_SLACK_MS);
    const loaded = loadOf(this.#store);
    this.#damage = loaded.damage;
    this.#isReadable = loaded.isReadable;
    this.#state = loaded.state;
    this.#timestampMax = loaded.timestampMax;
    this.#queue = new AppendQueue(
      this.#config,
      (batch) => this.#flush(batch),
      () => ctx.storage.sync(),
    );
    const oldest = loaded.state.leadership === undefined ? undefined : this.#store.oldestKeyMs();
    if (oldest !== undefined) void this.#alarm.restore(this.#expiryOf(oldest));
    this.#tails = new Tails(ctx, this.#config.tailFrameBytesMax, (offset, bytesMax) =>
      this.#readAt(offset, bytesMax),
    );
  }

  async leaderAndIsr(leadership: Leadership): Promise<PartitionAnswer<LogBounds>> {
    this.#alarm.check();
    if (!this.#isReadable) return storageFailure(this.#damage ?? "the database cannot be read");
    const decision = decideLeadership(this.#state, leadership);
    if (!decision.ok) return decision;
    if (!decision.unchanged) {
      // after damage the epoch may have begun before
      const isNew =
        this.#damage === undefined ||
        this.#store.epochs().every((each) => each.leaderEpoch !== leadership.leaderEpoch);
      this.#store.saveLeadership(decision.state, decision.epochBegins && isNew);
      this.#state = decision.state;
      this.#damage = undefined;
      const { leader, leaderEpoch, isr } = leadership;
      if (decision.epochBegins) this.#tails.tell({ type: "leader", leader, leader_epoch: leaderEpoch, isr });
    }
    return { ok: true, ...this.#bounds() };
  }

  /**
   * While the stored leadership is damaged the brokers are asked: the controller tells it again only when it changes. An
   * answer that is older than what this partition knows of its epochs is not taken.
   */
  async #untilWhole(): Promise<void> {
    if (this.#damage === undefined || !this.#isReadable) return;
    this.#recovering ??= this.#recover().finally(() => {
      this.#recovering = undefined;
    });
    await this.#recovering;
  }

  async #recover(): Promise<void> {
    const [ensemble, topicId, partition] = this.ctx.id.name?.split("/") ?? [];
    if (ensemble === undefined || topicId === undefined || partition === undefined) return;
    const latest = this.#store.epochs().at(-1)?.leaderEpoch ?? 0;
    for (let id = 0; id < Number(this.env.BROKER_COUNT) && this.#damage !== undefined; id++) {
      const name = `${ensemble}/${id}`;
      const broker = this.env.BROKER.get(this.env.BROKER.idFromName(name)) as unknown as BrokerRpc;
      try {
        const answer = await bounded(broker.leadershipOf(topicId, Number(partition)), LEADERSHIP_MS);
        if (answer.ok && answer.value !== null && answer.value.leaderEpoch >= latest)
          await this.leaderAndIsr(answer.value);
      } catch {
        // the next broker, or the next request
      }
    }
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    // answered again at the flush; here it keeps strangers out of the queue
    return this.#refusal(request.leaderEpoch) ?? this.#queue.push(request);
  }

  async claim(input: { key: IdempotencyKey; leaderEpoch: number }): Promise<PartitionAnswer<object>> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    const fenced = this.#refusal(input.leaderEpoch);
    if (fenced !== undefined) return fenced;
    const nowMs = Date.now();
    const { idempotencyWindowMs, idempotencyKeysMax } = this.#config;
    let known: KeyEntry | undefined;
    try {
      known = this.#store.keyEntry(input.key.key, nowMs - idempotencyWindowMs);
    } catch (error) {
      if (error instanceof DamagedLogError) return storageFailure(error.message);
      throw error;
    }
    const entry = claimKey(known, input.key, nowMs);
    if (entry === undefined) return { ok: true };
    if ("code" in entry) return entry;
    this.#store.claim(entry, idempotencyKeysMax);
    this.#alarm.ensure(this.#expiryOf(nowMs));
    return { ok: true };
  }

  async read(request: ReadRequest): Promise<PartitionAnswer<ReadAnswer>> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    const fenced = this.#refusal(request.leaderEpoch);
    if (fenced !== undefined) return fenced;
    const offset = this.#offsetOf(request.from);
    if (typeof offset === "object") return offset;
    const bytesMax = Math.min(request.bytesMax, this.#config.readBytesMax);
    const answer = this.#readAt(offset, bytesMax);
    if (!answer.ok || answer.batches.length > 0 || request.waitMs <= 0) return answer;
    const problem = await this.#grown(request.waitMs);
    return problem ?? this.#readAt(offset, bytesMax);
  }

  async bounds(leaderEpoch: number): Promise<PartitionAnswer<LogBounds>> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    return this.#refusal(leaderEpoch) ?? { ok: true, ...this.#bounds() };
  }

  async offsetOfTime(input: {
    timestampMs: number;
    leaderEpoch: number;
  }): Promise<PartitionAnswer<LogBounds & { offset: number | null }>> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    const fenced = this.#refusal(input.leaderEpoch);
    if (fenced !== undefined) return fenced;
    const offset = this.#offsetOfTime(input.timestampMs);
    if (typeof offset === "object") return offset;
    return { ok: true, ...this.#bounds(), offset: offset ?? null };
  }

  async status(): Promise<PartitionAnswer<PartitionStatus>> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    const { leadership } = this.#state;
    if (leadership === undefined) return this.#refusal(-1) ?? unknownPartition();
    const { topic, topicId, partition } = leadership;
    return {
      ok: true,
      ...this.#bounds(),
      ...this.#store.size(),
      topic,
      topicId,
      partition,
      tails: this.#tails.count,
      epochs: this.#store.epochs(),
    };
  }

  async remove(input: { topicId: string; controllerEpoch: number }): Promise<PartitionAnswer<object>> {
    const { leadership } = this.#state;
    if (leadership === undefined && this.#damage === undefined) return { ok: true };
    if (leadership !== undefined && leadership.topicId !== input.topicId)
      return { ok: false, code: "INVALID_REQUEST", message: "this object belongs to another topic" };
    if (leadership !== undefined && input.controllerEpoch < leadership.controllerEpoch)
      return {
        ok: false,
        code: "STALE_CONTROLLER_EPOCH",
        message: `controller epoch ${leadership.controllerEpoch} has spoken`,
      };
    if (this.#noting !== undefined) clearTimeout(this.#noting);
    this.#noting = undefined;
    this.#state = EMPTY_PARTITION;
    this.#timestampMax = -1;
    this.#cache = [];
    this.#cacheBytes = 0;
    this.#tails.tell({ type: "deleted" });
    this.#tails.closeAll(4004, "deleted");
    for (const wake of this.#pollers) wake();
    this.#alarm.only(Number.POSITIVE_INFINITY);
    await this.ctx.storage.deleteAll();
    return { ok: true };
  }

  /** `GET /tail?offset=N&epoch=N`, upgraded: {@link encodeTailFrame}'s frames, JSON text for what is no record. */
  override async fetch(request: Request): Promise<Response> {
    this.#alarm.check();
    if (this.#damage !== undefined) await this.#untilWhole();
    const url = new URL(request.url);
    if (url.pathname !== "/tail" || request.headers.get("Upgrade") !== "websocket")
      return new Response(null, { status: 404 });
    const offset = Number(url.searchParams.get("offset"));
    if (this.#tails.count >= this.#config.tailsMax) this.#tails.closeSilent();
    const failure =
      this.#refusal(Number(url.searchParams.get("epoch") ?? -1)) ??
      checkReadOffset(this.#state, offset) ??
      (this.#tails.count >= this.#config.tailsMax ? tooMany("tails") : undefined) ??
      failureIn(this.#readAt(offset, 1));
    return failure === undefined ? this.#tails.accept(offset) : Response.json(failure, { status: 409 });
  }

  override webSocketMessage(socket: WebSocket): void {
    this.#alarm.check();
    this.#tails.acknowledge(socket);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    tryClose(socket, code === 1005 || code === 1006 ? 1000 : code, reason);
  }

  /** Forgets idempotency keys that are out of their window. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    if (this.#state.leadership === undefined) return;
    const { idempotencyWindowMs, idempotencySlice } = this.#config;
    const oldest = this.#store.expireKeys(Date.now() - idempotencyWindowMs, idempotencySlice);
    if (oldest !== undefined) this.#alarm.ensure(this.#expiryOf(oldest));
  }

  /** When a key is forgotten that was used at `usedMs`, and no sooner than in a second: slices leave room for appends. */
  #expiryOf(usedMs: number): number {
    return Math.max(usedMs + this.#config.idempotencyWindowMs, Date.now() + SECOND_MS);
  }

  /** May a request that believes in this leader epoch be served? −1: it does not care. */
  #refusal(leaderEpoch: number): PartitionFailure | undefined {
    if (this.#damage !== undefined) return storageFailure(this.#damage);
    return checkLeaderEpoch(this.#state, leaderEpoch);
  }

  /** What is remembered of the keys of a flush. Requests whose key cannot be looked up are answered, and left out. */
  #lookUp(batch: readonly Waiting[], sinceMs: number): { taken: Waiting[]; known: Map<string, KeyEntry> } {
    const taken: Waiting[] = [];
    const known = new Map<string, KeyEntry>();
    for (const each of batch) {
      try {
        const key = each.request.key?.key;
        const entry = key === undefined ? undefined : this.#store.keyEntry(key, sinceMs);
        if (key !== undefined && entry !== undefined) known.set(key, entry);
        taken.push(each);
      } catch (error) {
        if (!(error instanceof DamagedLogError)) throw error;
        each.resolve(storageFailure(error.message));
      }
    }
    return { taken, known };
  }

  #flush(waiting: readonly Waiting[]): void {
    const nowMs = Date.now();
    const sinceMs = nowMs - this.#config.idempotencyWindowMs;
    let batch = waiting;
    try {
      const { taken, known } = this.#lookUp(waiting, sinceMs);
      batch = taken;
      const plan = planFlush({
        state: this.#state,
        requests: batch.map((each) => each.request),
        lookup: (key) => known.get(key),
        nowMs,
        timestampMax: this.#timestampMax,
        config: this.#config,
      });
      const chunks = plan.chunks.length > 0 ? this.#store.commit(plan, this.#config.idempotencyKeysMax) : [];
      this.#state = { ...this.#state, logEndOffset: plan.logEndOffset };
      this.#timestampMax = plan.timestampMax;
      for (const chunk of chunks) this.#remember(chunk);
      batch.forEach((each, index) => {
        each.resolve(plan.results[index] ?? storageFailure("no result"));
      });
      if (plan.keys.length > 0) this.#alarm.ensure(this.#expiryOf(nowMs));
      if (chunks.length > 0) this.#noteEndSoon();
      if (chunks.length > 0) this.#grew();
    } catch (error) {
      // the transaction is rolled back and the state untouched: nobody's records are in the log
      for (const each of batch)
        each.resolve(storageFailure(error instanceof Error ? error.message : "the write failed"));
    }
  }

  /** Once for many commits: it is a row that is paid for. */
  #noteEndSoon(): void {
    if (this.#noting !== undefined) return;
    const inMs = Math.max(NOTE_END_MS.least, this.#notedAt + NOTE_END_MS.pause - Date.now());
    this.#noting = setTimeout(() => {
      this.#noting = undefined;
      this.#notedAt = Date.now();
      try {
        this.#store.noteEnd(this.#state.logEndOffset);
      } catch {
        // A storage that fails is found out by the next append.
      }
    }, inMs);
  }

  #remember(chunk: Chunk): void {
    this.#cache.push(chunk);
    this.#cacheBytes += chunk.data.length;
    while (this.#cacheBytes > this.#config.cacheBytesMax && this.#cache.length > 1)
      this.#cacheBytes -= this.#cache.shift()?.data.length ?? 0;
  }

  #grew(): void {
    for (const wake of this.#pollers) wake();
    this.#tails.wake();
  }

  /** Waits until the log grows or the time is over. */
  #grown(waitMs: number): Promise<PartitionFailure | undefined> {
    if (this.#pollers.size >= this.#config.waitersMax) return Promise.resolve(tooMany("long polls"));
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#pollers.delete(wake);
        clearTimeout(timer);
        resolve(undefined);
      };
      const timer = setTimeout(wake, Math.min(waitMs, this.#config.waitMsMax));
      this.#pollers.add(wake);
    });
  }

  #bounds(): LogBounds {
    const { leadership, logStartOffset, logEndOffset } = this.#state;
    return {
      logStartOffset,
      logEndOffset,
      highWatermark: highWatermark(this.#state),
      leaderEpoch: leadership?.leaderEpoch ?? -1,
      leader: leadership?.leader ?? -1,
    };
  }

  #offsetOf(from: ReadFrom): number | PartitionFailure {
    switch (from.type) {
      case "offset":
        return from.offset;
      case "tail":
        return Math.max(this.#state.logStartOffset, highWatermark(this.#state) - from.records);
      case "timestamp":
        return this.#offsetOfTime(from.timestampMs) ?? highWatermark(this.#state);
    }
  }

  /** Code: CORRUPT_MESSAGE. */
  #offsetOfTime(timestampMs: number): number | undefined | PartitionFailure {
    let chunk: Chunk | undefined;
    try {
      chunk = this.#store.chunkOfTime(timestampMs, this.#state.logEndOffset);
    } catch (error) {
      if (error instanceof DamagedLogError) return storageFailure(error.message);
      throw error;
    }
    if (chunk === undefined) return undefined;
    for (const piece of piecesOf(chunk.data, chunk.base, chunk.last, chunk.base)) {
      if ("damage" in piece) return corrupt(piece.damage);
      const { batch } = piece;
      if (batch.maxTimestamp < timestampMs) continue;
      const record = decodeRecords(chunk.data, batch).find((each) => each.timestampMs >= timestampMs);
      if (record !== undefined) return record.offset;
    }
    return undefined;
  }

  /** Whole batches from the one that holds `offset` on, up to the first that is damaged; see {@link piecesOf}. */
  #readAt(offset: number, bytesMax: number): PartitionAnswer<ReadAnswer & { nextOffset: number }> {
    const failure = this.#refusal(-1) ?? checkReadOffset(this.#state, offset);
    if (failure !== undefined) return failure;
    const end = highWatermark(this.#state);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let next = offset;
    while (next < end && bytes < bytesMax) {
      const chunk = this.#chunkAt(next);
      const gap = chunk === undefined ? end : chunk.base;
      const run =
        chunk === undefined || chunk.base > next
          ? { bytes: NOTHING, nextOffset: next, damage: { from: next, next: gap } }
          : wholeBatches(chunk, next, bytesMax - bytes, parts.length === 0);
      if (run.bytes.length > 0) {
        parts.push(run.bytes);
        bytes += run.bytes.length;
        next = run.nextOffset;
      }
      if (run.damage !== undefined) {
        if (parts.length === 0) return corrupt({ ...run.damage, next: Math.min(run.damage.next, end) });
        break;
      }
      if (run.bytes.length === 0) break;
    }
    return { ok: true, ...this.#bounds(), offset, nextOffset: next, batches: concat(parts, bytes) };
  }

  #chunkAt(offset: number): Chunk | undefined {
    for (let i = this.#cache.length - 1; i >= 0; i--) {
      const chunk = this.#cache[i];
      if (chunk !== undefined && chunk.base <= offset)
        return chunk.last >= offset ? chunk : this.#store.chunkAt(offset);
    }
    return this.#store.chunkAt(offset);
  }
}

/**
 * The batches of a chunk from the one that holds `offset`, up to so many bytes, with `first` at least one; and what is
 * damaged behind them, if that is why they end.
 */
function wholeBatches(
  chunk: Chunk,
  offset: number,
  bytesMax: number,
  first: boolean,
): { bytes: Uint8Array; nextOffset: number; damage?: Damage } {
  let start = -1;
  let end = 0;
  let nextOffset = offset;
  let damage: Damage | undefined;
  const pieces = chunk.isFresh
    ? freshPieces(chunk.data)
    : piecesOf(chunk.data, chunk.base, chunk.last, offset);
  for (const piece of pieces) {
    if ("damage" in piece) {
      damage = piece.damage;
      break;
    }
    const { batch } = piece;
    if (batch.lastOffset < offset) continue;
    if (start === -1) start = end = batch.at;
    if (batch.end - start > bytesMax && !(first && end === start)) break;
    end = batch.end;
    nextOffset = batch.lastOffset + 1;
  }
  return {
    bytes: start === -1 ? NOTHING : chunk.data.subarray(start, end),
    nextOffset,
    ...(damage !== undefined && { damage }),
  };
}

function* freshPieces(data: Uint8Array): Generator<Piece, void> {
  for (const batch of batchesOf(data)) yield { batch };
}

const failureIn = (answer: PartitionAnswer<object>): PartitionFailure | undefined =>
  answer.ok ? undefined : answer;

/** If the log cannot be read, the object can still be called, and reports the reason. */
function loadOf(store: ChunkStore): ReturnType<ChunkStore["load"]> & { readonly isReadable: boolean } {
  try {
    return { ...store.load(), isReadable: true };
  } catch (error) {
    const damage = `the database cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return { state: EMPTY_PARTITION, timestampMax: -1, damage, isReadable: false };
  }
}

function concat(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  if (parts.length === 0) return NOTHING;
  // a view would drag its whole buffer over RPC
  const data = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

const storageFailure = (message: string): PartitionFailure => ({
  ok: false,
  code: "KAFKA_STORAGE_ERROR",
  message,
});
const unknownPartition = (): PartitionFailure => ({
  ok: false,
  code: "UNKNOWN_TOPIC_OR_PARTITION",
  message: "no controller has made this partition",
});
const tooMany = (what: string): PartitionFailure => ({
  ok: false,
  code: "THROTTLING_QUOTA_EXCEEDED",
  message: `too many ${what} are open on this partition`,
});
