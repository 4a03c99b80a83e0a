/**
 * What the roles of a peer share: identity, durable state as the peer knows it, the history that awaits delivery, and the
 * list of effects of the step under way.
 */
import { assert, must } from "../assert.ts";
import type { Chain } from "../hash/chain.ts";
import { type Feature, knows } from "../version.ts";
import type { ZabConfig } from "./config.ts";
import { DigestHistory } from "./digests.ts";
import { type DurableWrite, isRare, type TraceEvent, type Tracing, type ZabEffect } from "./effects.ts";
import type { Membership, Sid } from "./membership.ts";
import type { DigestAt, LogPosition, Phase, Role, ZabMessage } from "./messages.ts";
import { MajorityQuorum, type QuorumVerifier } from "./quorum-verifier.ts";
import { splitAfter } from "./txn-batch.ts";
import type { TxnLogReader } from "./txn-log.ts";
import { asEpoch, compareZxid, type Epoch, minZxid, type Zxid } from "./zxid.ts";

/** Rows of the last checkpoint, which a SNAP sends. The shell makes no checkpoint while one is read. */
export interface SnapshotReader {
  /** the zxid and chain of the checkpoint */
  position(): LogPosition;
  /**
   * A quorum had confirmed the tree in memory before the checkpoint was made from it, in this life of the member or an earlier
   * one. What is read is held against the digest that was stored then, so it is right, whatever this life's memory holds.
   */
  readonly isConfirmed: boolean;
  /**
   * Packed rows from `cursor` on, at most `bytesMax`; `next` is undefined at the end.
   * @param cursor "" to begin
   * @param version of the protocol of the member that is to read them
   */
  read(
    cursor: string,
    bytesMax: number,
    version: number,
  ): { readonly bytes: Uint8Array; readonly next: string | undefined };
}

/** What a member finds in its storage when it starts. */
export interface RecoveredState {
  readonly boot: number;
  readonly acceptedEpoch: Epoch;
  /** candidate that got the promise of acceptedEpoch; null: not known */
  readonly promisedTo: Sid | null;
  readonly currentEpoch: Epoch;
  /** a voter; false: without memory of what it promised, so it counts in no quorum */
  readonly initialized: boolean;
  /** a member of a brand-new ensemble that has not voted yet */
  readonly founding: boolean;
  /** its history is of no use to build on: only SNAP helps */
  readonly needSnap: boolean;
  /** *map sid − 1 → highest boot counter seen of that member*; what is missing was never seen */
  readonly peerBoots: readonly number[];
  /** what is applied in the tree: the checkpoint plus what the log knows to be committed */
  readonly applied: Zxid;
  /** what the member noted when it fell asleep last */
  readonly quiet?: string | null;
}

/** A member may be restarted so often in a row without waiting. */
const SHORT_LIVES_FREE = 2;

/** Txns in the log that are not delivered yet. */
interface PendingBatch {
  readonly batch: Uint8Array;
  offset: number;
  readonly last: Zxid;
}

/** A batch with its place in the log. */
export interface LogEntry {
  readonly batch: Uint8Array;
  readonly first: Zxid;
  readonly last: Zxid;
  readonly count: number;
  readonly chain: Chain;
}

/** How a peer's link is doing, in both directions. */
export interface Link {
  /** number of our outgoing link; a broken one is replaced by the next */
  generation: number;
  up: boolean;
  /** our clock when the PING under way left, or null */
  pingSentAt: number | null;
  rttMs: number | null;
  heardAt: number | null;
  role: Role | null;
  /** how long the peer has had no client, as it said last; ms */
  idleMs: number;
  /** of the protocol, as this life of the peer says; 0: it has said nothing yet */
  version: number;
  /** when this life of the peer was seen first; ms */
  bornAt: number;
  /** lives in a row that ended soon */
  shortLives: number;
  /** 0: nothing has come from this life of the peer yet */
  inGeneration: number;
  inSeq: number;
}

export class PeerContext {
  readonly sid: Sid;
  readonly quorum: QuorumVerifier;
  readonly config: ZabConfig;
  readonly log: TxnLogReader;
  readonly snapshot: SnapshotReader;
  readonly boot: number;
  /** of the protocol, ours */
  readonly version: number;
  /** map sid → link, for every other voter */
  readonly links = new Map<Sid, Link>();

  now = 0;
  acceptedEpoch: Epoch;
  /** the candidate to whom acceptedEpoch was promised */
  promisedTo: Sid | null;
  currentEpoch: Epoch;
  initialized: boolean;
  founding: boolean;
  /** voters that have noted our life durably and told what they had promised, while we are without memory */
  readonly witnesses = new Set<Sid>();
  /** *map sid − 1 → highest boot counter seen*; ours is not in it */
  readonly boots: number[];
  #bootsNoted = true;
  /** end of our log, with what this step appends */
  lastLogged: LogPosition;
  /** end of what is durable */
  lastDurableZxid: Zxid;
  /** known to be committed */
  lastCommittedZxid: Zxid;
  /** handed over for apply */
  lastProcessedZxid: Zxid;
  /** the tree's digest, as reported by the server that applies; see {@link tellDigest} */
  digest: DigestAt | undefined;
  /** a quorum has confirmed the tree in memory, in this life: a checkpoint that is made of it is right */
  treeConfirmed = false;
  /** the last digests of this tree */
  readonly digests = new DigestHistory();
  /** the highest epoch that a learner had promised which could not join for it; the next one here is above it */
  epochHeard: Epoch = asEpoch(0);
  /** our history is of no use to build on: only SNAP helps, and we are not eligible; see {@link spurn} */
  needSnap: boolean;
  /** the leader whose tree differs from ours, and where; forgotten once another is established, from whom it gets a better one */
  diverged: { readonly from: Sid; readonly at: Zxid } | null = null;
  /** which trace effects are made */
  tracing: Tracing = false;
  /** how long a commit may take to be known here, ms; set by the server, which knows its clients */
  patienceMs = 0;
  /** since when this member has had no client; null while one is connected, or if it is not known */
  idleSince: number | null = null;

  /** the peer whose call is being handled */
  caller: Sid | null = null;
  effects: ZabEffect[] = [];
  #persistSeq = 0;
  #durableSeq = 0;
  readonly #persisting: { seq: number; tail: Zxid }[] = [];
  #pending: PendingBatch[] = [];

  constructor(
    sid: Sid,
    membership: Membership,
    config: ZabConfig,
    log: TxnLogReader,
    snapshot: SnapshotReader,
    recovered: RecoveredState,
    version: number,
  ) {
    this.version = version;
    this.sid = sid;
    this.quorum = new MajorityQuorum(membership);
    this.config = config;
    this.log = log;
    this.snapshot = snapshot;
    this.boot = recovered.boot;
    this.acceptedEpoch = recovered.acceptedEpoch;
    this.promisedTo = recovered.promisedTo;
    this.currentEpoch = recovered.currentEpoch;
    this.initialized = recovered.initialized;
    this.founding = recovered.founding;
    this.needSnap = recovered.needSnap;
    this.boots = membership.participants.map((voter) => recovered.peerBoots[voter - 1] ?? 0);
    this.lastLogged = log.last;
    this.lastDurableZxid = log.last.zxid;
    this.lastCommittedZxid = recovered.applied;
    this.lastProcessedZxid = recovered.applied;
    assert(recovered.currentEpoch <= recovered.acceptedEpoch, "currentEpoch ≤ acceptedEpoch");
    assert(this.lastLogged.zxid.epoch <= recovered.currentEpoch, "the log ends within currentEpoch");
    assert(compareZxid(this.lastProcessedZxid, this.lastLogged.zxid) <= 0, "only what is logged is applied");
    for (const peer of membership.participants) if (peer !== sid) this.links.set(peer, newLink());
    this.#queueAfter(this.lastProcessedZxid);
  }

  link(peer: Sid): Link {
    return must(this.links.get(peer), "a peer is a member of the ensemble");
  }

  send(to: Sid, message: ZabMessage): void {
    this.effects.push({ type: "send", to, generation: this.link(to).generation, message });
  }

  /** Answers the caller in the return of its call. */
  reply(message: ZabMessage): void {
    assert(this.caller !== null, "a reply needs a call");
    this.effects.push({ type: "reply", message });
  }

  trace(event: TraceEvent): void {
    if (this.tracing === false || (this.tracing === "rare" && !isRare(event))) return;
    this.effects.push({ type: "trace", event });
  }

  persist(writes: readonly DurableWrite[]): number {
    this.#persistSeq += 1;
    // Lives of peers that were seen first since the last write travel with this one.
    const all = this.#bootsNoted
      ? writes
      : [...writes, { type: "peerBoots" as const, boots: [...this.boots] }];
    this.#bootsNoted = true;
    this.effects.push({ type: "persist", seq: this.#persistSeq, writes: all });
    this.#persisting.push({ seq: this.#persistSeq, tail: this.lastLogged.zxid });
    return this.#persistSeq;
  }

  /** A life of a peer has been seen. @returns whether it is the first sign of it */
  learnBoot(peer: Sid, boot: number): boolean {
    if (boot <= this.bootOf(peer)) return false;
    this.boots[peer - 1] = boot;
    this.#bootsNoted = false;
    const link = this.link(peer);
    link.version = 0;
    link.shortLives = this.now - link.bornAt < this.#shortLifeMs ? link.shortLives + 1 : 0;
    link.bornAt = this.now;
    return true;
  }

  get #shortLifeMs(): number {
    return 2 * this.config.initLimit * this.config.tickTimeMs;
  }

  /**
   * When a learner is taken in, ms: at once, unless its lives keep ending. Each life that a stay ends costs the leader a
   * synchronization, so one whose last lives were short waits for a tick, then two, and so on; never so long that it gives up.
   */
  admitAt(peer: Sid): number {
    const { bornAt, shortLives } = this.link(peer);
    if (shortLives <= SHORT_LIVES_FREE) return this.now;
    const { tickTimeMs, initLimit, syncLimit } = this.config;
    const ticks = Math.min(2 ** (shortLives - SHORT_LIVES_FREE - 1), initLimit - syncLimit);
    return bornAt + ticks * tickTimeMs;
  }

  /** Do all members know this? One that does not answer counts as one that does not. */
  supports(feature: Feature): boolean {
    if (!knows(this.version, feature)) return false;
    for (const link of this.links.values()) if (!link.up || !knows(link.version, feature)) return false;
    return true;
  }

  /** The highest life seen of a peer; 0: none. */
  bootOf(peer: Sid): number {
    return this.boots[peer - 1] ?? 0;
  }

  /** A peer that gets an answer now relies on our having stored the incarnations that we have seen. */
  noteBoots(): void {
    if (!this.#bootsNoted) this.persist([]);
  }

  /** A voter has noted our life and says what it had promised: we promise no less, for we may have done so before. */
  witness(voter: Sid, acceptedEpoch: Epoch): void {
    this.witnesses.add(voter);
    if (acceptedEpoch <= this.acceptedEpoch) return;
    this.acceptedEpoch = acceptedEpoch;
    this.promisedTo = null;
    this.persist([{ type: "acceptedEpoch", epoch: acceptedEpoch, to: null }]);
  }

  /** The tree stands at this zxid, with this digest. */
  tellDigest(digest: DigestAt): void {
    this.digest = digest;
    this.digests.add(digest);
  }

  isDurable(seq: number): boolean {
    return seq <= this.#durableSeq;
  }

  persisted(seq: number): void {
    this.#durableSeq = Math.max(this.#durableSeq, seq);
    for (
      let first = this.#persisting[0];
      first !== undefined && first.seq <= seq;
      first = this.#persisting[0]
    ) {
      this.#persisting.shift();
      this.lastDurableZxid = first.tail;
    }
  }

  /** Takes a batch into the log of this step; the caller persists it. */
  extend(entry: LogEntry): DurableWrite {
    this.lastLogged = { zxid: entry.last, chain: entry.chain };
    this.#pending.push({ batch: entry.batch, offset: 0, last: entry.last });
    return {
      type: "append",
      batch: entry.batch,
      first: entry.first,
      last: entry.last,
      count: entry.count,
      chain: entry.chain,
      committed: minZxid(this.lastCommittedZxid, entry.last),
    };
  }

  /** Our history is of no use to build on. That is kept over a crash, and ends when a SNAP becomes our tree. */
  spurn(): void {
    if (this.needSnap) return;
    this.needSnap = true;
    this.persist([{ type: "needSnap" }]);
  }

  /** Forgets the history after `to`. */
  rewind(to: LogPosition): void {
    assert(compareZxid(to.zxid, this.lastProcessedZxid) >= 0, "what is delivered is never taken back");
    this.lastLogged = to;
    this.#clampDurable(to.zxid);
    const kept: PendingBatch[] = [];
    for (const pending of this.#pending) {
      if (compareZxid(pending.last, to.zxid) <= 0) kept.push(pending);
      else {
        const end = splitAfter(pending.batch, to.zxid);
        if (end > pending.offset) {
          kept.push({ batch: pending.batch.slice(0, end), offset: pending.offset, last: to.zxid });
        }
        break;
      }
    }
    this.#pending = kept;
  }

  /** The tree is a received snapshot at `at`, and the log begins anew there. */
  replaceBy(at: LogPosition): void {
    this.lastLogged = at;
    this.lastDurableZxid = at.zxid;
    this.#clampDurable(at.zxid);
    this.#pending = [];
    this.lastProcessedZxid = at.zxid;
    this.lastCommittedZxid = at.zxid;
    this.needSnap = false;
    this.diverged = null;
    this.digest = undefined;
    this.digests.clear();
    this.treeConfirmed = false;
  }

  /** Learns what is committed; delivers what is also durable here. */
  commitUpTo(zxid: Zxid): void {
    if (compareZxid(zxid, this.lastCommittedZxid) > 0) this.lastCommittedZxid = zxid;
    this.deliver();
  }

  /** Delivers what is committed and durable: never what this member could still lose. */
  deliver(): void {
    const upTo = minZxid(this.lastCommittedZxid, this.lastDurableZxid);
    while (compareZxid(this.lastProcessedZxid, upTo) < 0) {
      const pending = this.#pending[0];
      if (pending === undefined) return;
      if (compareZxid(pending.last, upTo) <= 0) {
        this.#pending.shift();
        this.effects.push({
          type: "deliver",
          batch: pending.batch,
          offset: pending.offset,
          upTo: pending.last,
        });
        this.lastProcessedZxid = pending.last;
      } else {
        const end = splitAfter(pending.batch, upTo);
        if (end > pending.offset) {
          this.effects.push({ type: "deliver", batch: pending.batch, offset: pending.offset, upTo });
          pending.offset = end;
        }
        this.lastProcessedZxid = upTo;
      }
    }
  }

  /** What was durable of a history that is given up says nothing about the one that follows. */
  #clampDurable(to: Zxid): void {
    this.lastDurableZxid = minZxid(this.lastDurableZxid, to);
    for (const waiting of this.#persisting) waiting.tail = minZxid(waiting.tail, to);
  }

  #queueAfter(zxid: Zxid): void {
    for (let slice = this.log.read(zxid); slice !== undefined; slice = this.log.read(slice.last)) {
      this.#pending.push({ batch: slice.batch, offset: 0, last: slice.last });
    }
  }
}

const newLink = (): Link => ({
  generation: 1,
  up: false,
  pingSentAt: null,
  rttMs: null,
  heardAt: null,
  role: null,
  idleMs: 0,
  version: 0,
  bornAt: Number.NEGATIVE_INFINITY,
  shortLives: 0,
  inGeneration: 0,
  inSeq: 0,
});

/** What the roles need of the peer that holds them. */
export interface RoleHost {
  readonly context: PeerContext;
  /** Gives the role up and looks for a leader. */
  becomeLooking(reason: string): void;
  /** The number of the next stay. */
  nextJoin(): number;
  /** The phase changed. */
  phaseChanged(role: Role, phase: Phase): void;
}
