/**
 * The one place where faults affect an object's calls, alarms, storage and clock. It has no effect while no fault is
 * active: callers check {@link FaultGate.active} first, which is one boolean.
 *
 * Faults are stored, so they outlive the object's memory; the time limit of each is checked at every use.
 */
import { type ActiveFault, type Fault, type FaultName, FaultSet, type FaultView } from "./faults.ts";
import type { PeerStub } from "./peer-link.ts";

/** The interface of the object to its gate. */
export interface FaultGatePorts {
  /** whether `FAULTS` is "on"; otherwise no fault is active, whatever is stored */
  readonly enabled: boolean;
  readonly read: () => string | undefined;
  readonly write: (text: string) => void;
  /** a fault has ended, by a request or by its time limit */
  readonly healed?: (fault: ActiveFault) => void;
  /** a fault has begun, or some have ended, by a request or by their time limits */
  readonly changed?: (began: FaultName | undefined, ended: readonly FaultName[]) => void;
}

/** Error of a call that was lost to a fault, thrown when the fault ends. */
const LOST = "the call was lost by a fault";

/**
 * The faults of one object, and the messages and calls that they delay.
 * Invariant: without faults nothing waits here; delayed messages keep the order of their link.
 * @source the nemeses of Jepsen, inside the process
 */
export class FaultGate {
  readonly #ports: FaultGatePorts;
  readonly #faults: FaultSet;
  /** the faults as they are stored */
  #stored: string;
  #active = false;
  #nextEnd = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** number of delayed messages and completions */
  #late = 0;
  /** *map direction, peer and kind → resolves when the previous message has passed* */
  readonly #tails = new Map<string, Promise<void>>();
  /** end the lost calls, which get no result while the fault is active and fail afterwards */
  readonly #lost = new Set<() => void>();
  /** functions to run after a pause, in order of arrival */
  readonly #held: (() => void)[] = [];

  constructor(ports: FaultGatePorts) {
    this.#ports = ports;
    const stored = ports.enabled ? ports.read() : undefined;
    this.#faults = new FaultSet(stored);
    this.#stored = stored ?? this.#faults.serialize();
    this.#refresh();
  }

  // ── active faults ────────────────────────────────────────────────────────

  /** Whether any fault is active, or a message is still delayed. */
  get active(): boolean {
    return this.#active;
  }

  /** Whether the object is killed, so that it refuses every call. */
  get killed(): boolean {
    return this.#active && this.#get("kill") !== undefined;
  }

  /** How long it stays killed, as text for its refusals. */
  get killedFor(): "until it is revived" | "for a time" {
    return this.#get("kill")?.until === null ? "until it is revived" : "for a time";
  }

  /** Whether the object is paused. */
  get paused(): boolean {
    return this.#active && this.#get("pause") !== undefined;
  }

  /** ms by which the clock is ahead */
  get skewMs(): number {
    return this.#active ? (this.#get("skew")?.skewMs ?? 0) : 0;
  }

  /** The time as the object sees it, ms. */
  now(): number {
    return Date.now() + this.skewMs;
  }

  /** When the next fault ends by itself, ms since 1970; Infinity if none does. */
  get nextEnd(): number {
    return this.#nextEnd;
  }

  /** The active faults. */
  list(): readonly FaultView[] {
    this.#sweep();
    return this.#faults.list(Date.now());
  }

  #get<N extends FaultName>(name: N): (ActiveFault & { readonly fault: N }) | undefined {
    this.#sweep();
    return this.#faults.get(name);
  }

  /** Begins a fault. @param ttlMs null: until it is healed @throws Error if faults are off */
  inflict(fault: Fault, ttlMs: number | null, seed: number): void {
    if (!this.#ports.enabled) throw new Error("faults are off");
    this.#faults.add({ ...fault, until: ttlMs === null ? null : Date.now() + ttlMs, seed });
    this.#changed([], fault.fault);
  }

  /** Ends one fault, or all. @returns the names of those that were active */
  heal(name?: FaultName): readonly FaultName[] {
    const ended = [...this.#faults.expire(Date.now()), ...this.#faults.remove(name)];
    this.#changed(ended);
    return ended.map(({ fault }) => fault);
  }

  #sweep(): void {
    if (Date.now() >= this.#nextEnd) this.#changed(this.#faults.expire(Date.now()));
  }

  #changed(ended: readonly ActiveFault[], began?: FaultName): void {
    const text = this.#faults.serialize();
    if (text !== this.#stored) this.#ports.write(text);
    this.#stored = text;
    this.#refresh();
    for (const fault of ended) this.#ports.healed?.(fault);
    if (began !== undefined || ended.length > 0) {
      this.#ports.changed?.(
        began,
        ended.map(({ fault }) => fault),
      );
    }
    if (ended.length > 0) {
      for (const end of this.#lost) end();
      this.#lost.clear();
    }
    if (this.#faults.get("pause") === undefined) for (const run of this.#held.splice(0)) run();
  }

  #refresh(): void {
    this.#active = this.#faults.size > 0 || this.#late > 0;
    this.#nextEnd = this.#faults.nextEnd;
    // for waiting calls; everything else checks the clock itself
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = Number.isFinite(this.#nextEnd)
      ? setTimeout(() => this.#sweep(), Math.max(0, this.#nextEnd - Date.now()))
      : undefined;
  }

  // ── pause ────────────────────────────────────────────────────────────────

  /** Resolves when the object is not paused; at once if it is not. */
  async running(): Promise<void> {
    while (this.paused) await new Promise<void>((resolve) => this.#held.push(resolve));
  }

  /** Whether the object is paused; then `run` is called when it continues. */
  holds(run: () => void): boolean {
    if (!this.paused) return false;
    this.#held.push(run);
    return true;
  }

  // ── storage ──────────────────────────────────────────────────────────────

  /** Calls `run` once the writes before it count as durable; in the order of these calls. */
  stored(run: () => void): void {
    const delayMs = this.#storageMs;
    if (delayMs === 0 && !this.#tails.has(STORAGE)) run();
    else void this.#wait(STORAGE, delayMs).then(run);
  }

  /** ms by which storage is slow */
  get #storageMs(): number {
    return this.#active ? (this.#get("slow-storage")?.delayMs ?? 0) : 0;
  }

  // ── messages ─────────────────────────────────────────────────────────────

  /** The stub of a peer, behind the gate. */
  wrap<Message>(peer: number, stub: PeerStub<Message>): PeerStub<Message> {
    return {
      deliver: (envelope) =>
        this.#active ? this.call(peer, () => stub.deliver(envelope)) : stub.deliver(envelope),
      close: () => stub.close(),
    };
  }

  /**
   * Any stub, behind the gate: each of its methods is a call to `peer`. While the object is paused, none is made and
   * none returns.
   */
  stub<Stub extends object>(peer: number, stub: Stub): Stub {
    const methods = stub as Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;
    return new Proxy(stub, {
      get:
        (_, name: string) =>
        async (...args: unknown[]) => {
          if (this.paused) {
            // timers ran during the pause, so the caller may have timed out: the call is not made
            await this.running();
            throw new Error(LOST);
          }
          try {
            return await this.call(peer, async () => methods[name]?.(...args));
          } finally {
            await this.running();
          }
        },
    });
  }

  /** Makes a call to a peer. @throws Error also if a fault makes its outcome unknown */
  async call<T>(peer: number, run: () => Promise<T>): Promise<T> {
    const twice = await this.#travel("out", peer, "call");
    try {
      const answer = run();
      if (twice) run().catch(() => undefined);
      return await answer;
    } finally {
      await this.#travel("in", peer, "return");
    }
  }

  /** Handles a call of a peer. @throws Error if the peer must not get its answer */
  async handle<T>(peer: number, run: () => Promise<T>): Promise<T> {
    const twice = await this.#travel("in", peer, "call");
    try {
      const answer = run();
      if (twice) run().catch(() => undefined);
      return await answer;
    } finally {
      await this.#travel("out", peer, "return");
    }
  }

  /** Passes one message. @returns whether it arrives twice @throws Error if it does not arrive */
  async #travel(direction: "in" | "out", peer: number, kind: "call" | "return"): Promise<boolean> {
    if (!this.#active) return false;
    this.#sweep();
    const fate = this.#faults.fate(direction, peer, kind);
    if (fate.lost) await new Promise((_, reject) => this.#lost.add(() => reject(new Error(LOST))));
    const promises = direction === "out" && kind === "return";
    const delayMs = fate.delayMs + (promises ? this.#storageMs : 0);
    const way = `${direction} ${kind} ${peer}`;
    if (delayMs > 0 || this.#tails.has(way)) await this.#wait(way, delayMs);
    if (fate.fails) throw new Error(LOST);
    return fate.twice;
  }

  /** Waits, also for earlier messages in the same direction. */
  async #wait(way: string, delayMs: number): Promise<void> {
    const before = this.#tails.get(way);
    this.#late += 1;
    this.#active = true;
    const through = Promise.all([before, new Promise((resolve) => setTimeout(resolve, delayMs))]).then(
      () => {},
    );
    this.#tails.set(way, through);
    await through;
    this.#late -= 1;
    if (this.#tails.get(way) === through) this.#tails.delete(way);
    if (this.#late === 0 && this.#faults.size === 0) this.#active = false;
  }
}

const STORAGE = "storage";
