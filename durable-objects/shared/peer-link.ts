/**
 * The caller's side of the channel to one peer. One stub is one FIFO channel with a generation: a call that fails has
 * an unknown outcome and ends the generation, and the next one begins with a new stub. Calls are numbered, so that
 * the receiver detects a gap.
 */
import { PROTOCOL_VERSION } from "../../core/version.ts";

/** A batch of messages with its origin; see `CallOrigin` in core. */
export interface Envelope<Message> {
  /** version of the caller's protocol; absent: 1 */
  readonly v?: number;
  readonly from: number;
  readonly boot: number;
  readonly generation: number;
  readonly seq: number;
  readonly messages: readonly Message[];
}

/** Return of a call. */
export interface LinkReturn<Message> {
  /** version of the callee's protocol; absent: 1 */
  readonly v?: number;
  readonly boot: number;
  readonly messages: readonly Message[];
}

/** The peer accepts no calls. A value instead of an exception, so that a dead peer does not fill the logs. */
export const REFUSED = "REFUSED";
/** The return of a callee that accepts no calls, or that does not know a message. */
export type Refused = typeof REFUSED;

/** The methods of a peer that a link calls. */
export interface PeerStub<Message> {
  /** One call. @throws if its outcome is unknown; the stub must not be used afterwards */
  deliver(envelope: Envelope<Message>): Promise<LinkReturn<Message> | Refused>;
  /** Releases what keeps the callee in memory, except for outstanding calls. */
  close(): void;
}

/** Receives the returns of a link's calls, in the order of the calls, and the break of the link. */
export interface LinkListener<Message> {
  /** A call of this generation has returned. */
  returned(peer: number, generation: number, result: LinkReturn<Message>): void;
  /** A call of this generation has failed: the generation has ended. */
  broken(peer: number, generation: number): void;
}

/**
 * The link to one peer.
 * Invariant: only the latest generation sends; within one generation, calls are numbered from 0 without a gap. What the
 * previous generation holds of the peer is released after a call of the latest one has ended: a peer that is released
 * by this node concludes that it may have crashed.
 * @source Zab, DSN 2011, §II: FIFO channels; ZooKeeper's `Learner` and `LearnerHandler` connections
 */
export class PeerLink<Message> {
  readonly #self: { readonly sid: number; readonly boot: number };
  readonly #peer: number;
  readonly #connect: () => PeerStub<Message>;
  readonly #listener: LinkListener<Message>;
  #generation = 0;
  #stub: PeerStub<Message> | undefined;
  /** stub of the previous generation, until a call of the latest one has ended */
  #previous: PeerStub<Message> | undefined;
  #seq = 0;
  /** whether what kept the peer in memory is released; a new generation keeps it again */
  #isReleased = false;

  constructor(
    self: { readonly sid: number; readonly boot: number },
    peer: number,
    connect: () => PeerStub<Message>,
    listener: LinkListener<Message>,
  ) {
    this.#self = self;
    this.#peer = peer;
    this.#connect = connect;
    this.#listener = listener;
  }

  /** Sends messages in one call. An older generation than the last one sent on is dropped. */
  send(generation: number, messages: readonly Message[]): void {
    const stub = this.#stubOf(generation);
    if (stub === undefined) return;
    const { sid: from, boot } = this.#self;
    const envelope = { v: PROTOCOL_VERSION, from, boot, generation, seq: this.#seq++, messages };
    stub.deliver(envelope).then(
      (result) => {
        this.#releasePrevious(generation);
        if (result === REFUSED) this.#listener.broken(this.#peer, generation);
        else this.#listener.returned(this.#peer, generation, result);
      },
      () => {
        this.#releasePrevious(generation);
        this.#listener.broken(this.#peer, generation);
      },
    );
  }

  /**
   * Finds out whether the peer has crashed, by a call without messages: it fails at once if the peer is gone, and changes
   * nothing if the peer lives. A link that is not in use makes no call.
   */
  probe(): void {
    if (this.#stub !== undefined && !this.#isReleased) this.send(this.#generation, []);
  }

  /** Releases what keeps the peer in memory, while no calls are expected. */
  release(): void {
    this.#isReleased = true;
    this.#stub?.close();
    this.#previous?.close();
    this.#previous = undefined;
  }

  /** A call of this generation has ended. */
  #releasePrevious(generation: number): void {
    if (this.#previous === undefined || generation !== this.#generation) return;
    this.#previous.close();
    this.#previous = undefined;
  }

  #stubOf(generation: number): PeerStub<Message> | undefined {
    if (generation < this.#generation) return undefined;
    if (generation > this.#generation || this.#stub === undefined) {
      this.#generation = generation;
      this.#seq = 0;
      this.#isReleased = false;
      this.#previous?.close();
      this.#previous = this.#stub;
      this.#stub = this.#connect();
    }
    return this.#stub;
  }
}
