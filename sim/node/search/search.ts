/**
 * Explicit-state search: visits every state that a small ensemble can reach, with any order of events and any failures
 * within the scope, once each, and checks the invariants of `ghost.ts` in it.
 *
 * A state is a few numbers: the state of every member and channel, the ghost state of the run, and the used scope. The same
 * members and channels occur in millions of states, so each is stored once, and the core computes each step of a member
 * once.
 *
 * These events may happen in any order: a call or a return arrives (in order per link); the oldest write of a member
 * becomes durable; a member crashes, keeps any prefix of its unfinished writes, and any prefix of its calls and returns in
 * flight arrives; it restarts; a link breaks after any prefix of its calls; a deadline passes (a decision without further
 * votes, votes sent again, a role given up, a learner dropped); a client writes; a member makes a checkpoint and truncates
 * its log.
 *
 * Omitted, because only timing depends on it: pings (the search lets their timeouts pass at any moment), empty returns, and
 * calls that are lost (to a member that is down, or over a failed link).
 *
 * @source Holzmann, "State compression in SPIN" (1997): collapse compression
 */

import { type Channel, Channels, nextGeneration } from "./channels.ts";
import { Frontier } from "./frontier.ts";
import { check } from "./ghost.ts";
import { Members } from "./member.ts";
import { describeInput, describeMember } from "./path.ts";
import { BREAKS, CHECKPOINTS, CRASHES, type SearchOptions, TXNS, used } from "./scope.ts";
import { type Facts, type Input, type Outcome, Role, sidOf } from "./step.ts";
import { Transition } from "./transition.ts";

/** Outcome of a search. */
export interface SearchResult {
  readonly scope: SearchOptions;
  /** distinct states found */
  readonly states: number;
  /** of these, the states of which every step was explored */
  readonly expanded: number;
  /** explored steps */
  readonly steps: number;
  /** length of the longest of the shortest known paths to a state */
  readonly depth: number;
  /** all states with at most this cost (steps or deviations) were explored */
  readonly completeTo: number;
  readonly terminated: boolean;
  readonly seconds: number;
  /** distinct states of single members, and their steps that the core computed */
  readonly memberStates: number;
  readonly memberSteps: number;
  /** number of explored steps by kind */
  readonly kinds: Readonly<Record<string, number>>;
  readonly maxCommitted: number;
  readonly maxEpoch: number;
  readonly violation: string | undefined;
  readonly path: readonly string[];
}

const ZERO_COST = 0;
const PROGRESS_MS = 5_000;

/** A search. Invariant: each state is visited once at most, and its rules are checked in that visit. */
export class Search {
  readonly #options: SearchOptions;
  readonly #n: number;
  readonly #members: Members;
  readonly #channels: Channels;
  readonly #transition: Transition;
  readonly #countersAt: number;
  /** numbers per state */
  readonly #length: number;
  readonly #frontier: Frontier;
  readonly #current: Int32Array;
  readonly #next: Int32Array;
  readonly #facts: Facts[] = [];
  readonly #ids = new Map<string, number>();
  readonly #kinds = new Map<string, number>();
  #index = 0;
  #expanded = 0;
  #steps = 0;
  #depth = 0;
  #violation: { text: string; index: number; last: string } | undefined;
  /** called with every step of the state that is being expanded, while a path is printed */
  #onStep: ((next: Int32Array, what: () => string) => void) | null = null;
  /** whether no ordinary step was found yet in the state that is being expanded */
  #ordinary = true;

  constructor(options: SearchOptions) {
    this.#options = options;
    const n = options.servers;
    this.#n = n;
    this.#members = new Members(n % 2 === 0 ? n + 1 : n);
    this.#channels = new Channels(n, n);
    const ghostAt = n + n * (n - 1);
    this.#countersAt = ghostAt + 1;
    this.#transition = new Transition(options, this.#members, this.#channels, ghostAt, this.#countersAt);
    this.#length = this.#countersAt + 1;
    this.#frontier = new Frontier(this.#length);
    this.#current = this.#frontier.newState();
    this.#next = this.#frontier.newState();
  }

  /** @param onProgress called every few seconds with the number of states and the cost up to which all were explored */
  run(onProgress?: (states: number, completeTo: number) => void): SearchResult {
    const { states, minutes } = this.#options;
    const started = performance.now();
    const end = started + minutes * 60_000;
    let toldAt = started;
    this.#begin();
    let cost = 0;
    let terminated = true;
    search: for (; cost < this.#frontier.costs; cost++) {
      const bucket = this.#frontier.bucket(cost);
      for (let i = 0; i < bucket.length; i++) {
        const index = bucket[i] as number;
        if (this.#frontier.costOf(index) !== cost) continue; // found at a lower cost, and explored then
        this.#expand(index);
        const now = (i & 1023) === 0 ? performance.now() : started;
        if (now - toldAt > PROGRESS_MS) {
          toldAt = now;
          onProgress?.(this.#frontier.size, cost - 1);
        }
        if (this.#violation !== undefined || this.#frontier.size >= states || now > end) {
          terminated = false;
          break search;
        }
      }
      this.#frontier.done(cost);
    }
    return {
      scope: this.#options,
      states: this.#frontier.size,
      expanded: this.#expanded,
      steps: this.#steps,
      depth: this.#depth,
      completeTo: cost - 1,
      terminated,
      seconds: (performance.now() - started) / 1000,
      memberStates: this.#members.states,
      memberSteps: this.#members.transitions,
      kinds: Object.fromEntries([...this.#kinds].sort()),
      maxCommitted: this.#transition.maxCommitted,
      maxEpoch: this.#transition.maxEpoch,
      violation: this.#violation?.text,
      path: this.#violation === undefined ? [] : this.#path(this.#violation.index, this.#violation.last),
    };
  }

  #begin(): void {
    const n = this.#n;
    for (let i = 0; i < n; i++) this.#next[i] = this.#members.fresh(sidOf(i));
    const down: Channel = { boot: 0, generation: 1, broken: false, refused: false, calls: [], returns: [] };
    for (let i = 0; i < n * (n - 1); i++) this.#next[n + i] = this.#channels.id(down);
    const root = (this.#members.facts[this.#next[0] as number] as Facts).delivered;
    this.#transition.begin(this.#next, root);
    this.#index = -1;
    this.#found(ZERO_COST, 0);
  }

  // ── the graph ────────────────────────────────────────────────────────────

  #expand(index: number): void {
    this.#index = index;
    this.#frontier.read(index, this.#current);
    if (this.#onStep === null) this.#expanded += 1;
    this.#ordinary = true;
    const n = this.#n;
    for (let i = 0; i < n; i++) this.#facts[i] = this.#members.facts[this.#current[i] as number] as Facts;
    for (let i = 0; i < n; i++) if ((this.#facts[i] as Facts).pending > 0) this.#local(i, SYNCED, true);
    for (let i = 0; i < n; i++) this.#arrivals(i);
    for (let i = 0; i < n; i++) this.#breakage(i);
    for (let i = 0; i < n; i++) this.#idle(i);
    for (let i = 0; i < n; i++) this.#faults(i);
  }

  #arrivals(i: number): void {
    if (!(this.#facts[i] as Facts).up) return;
    for (let j = 0; j < this.#n; j++) {
      if (j === i) continue;
      const answers = this.#channels.of(this.#current, i, j);
      if (answers.returns.length > 0) {
        const rest = { ...answers, returns: answers.returns.slice(1) };
        this.#take(i, answers.returns[0] as number, true, i, j, rest);
      }
      const calls = this.#channels.of(this.#current, j, i);
      if (calls.calls.length > 0) {
        const rest = { ...calls, calls: calls.calls.slice(1) };
        this.#take(i, calls.calls[0] as number, true, j, i, rest);
      }
    }
  }

  #breakage(i: number): void {
    if (!(this.#facts[i] as Facts).up) return;
    for (let j = 0; j < this.#n; j++) {
      if (j === i) continue;
      const channel = this.#channels.of(this.#current, i, j);
      if (channel.broken) {
        this.#take(i, this.#input({ kind: "broken", peer: sidOf(j) }), true, i, j, {
          ...nextGeneration(channel, 0),
          refused: !(this.#facts[j] as Facts).up,
        });
      }
    }
  }

  #idle(i: number): void {
    const facts = this.#facts[i] as Facts;
    const counters = this.#current[this.#countersAt] as number;
    if (!facts.up) {
      this.#local(i, START, true);
      return;
    }
    if (facts.mayDecide) this.#local(i, DECIDE, true);
    if (facts.mayResend && this.#mayBeHeard(i)) this.#local(i, RESEND, true);
    const txns = used(counters, TXNS);
    if (facts.mayPropose && txns < this.#options.txns) {
      this.#apply(i, this.#input({ kind: "propose", n: txns + 1 }), true, (next) => {
        next[this.#countersAt] = counters + (1 << TXNS);
      });
    }
  }

  #faults(i: number): void {
    const facts = this.#facts[i] as Facts;
    if (!facts.up) return;
    const counters = this.#current[this.#countersAt] as number;
    const { crashes, breaks, checkpoints } = this.#options;
    if (facts.role !== Role.LOOKING) this.#local(i, GIVE_UP, false);
    if (used(counters, CHECKPOINTS) < checkpoints && facts.mayCheckpoint) {
      this.#apply(i, CHECKPOINT, false, (next) => {
        next[this.#countersAt] = counters + (1 << CHECKPOINTS);
      });
    }
    if (used(counters, BREAKS) < breaks) {
      for (const peer of facts.learners) {
        this.#apply(i, this.#input({ kind: "silent", peer }), false, (next) => {
          next[this.#countersAt] = counters + (1 << BREAKS);
        });
      }
      for (let j = 0; j < this.#n; j++) {
        if (j === i || !(this.#facts[j] as Facts).up) continue;
        const channel = this.#channels.of(this.#current, i, j);
        if (channel.broken) continue;
        for (const keep of channel.calls.length === 0 ? [0] : [0, channel.calls.length]) {
          this.#apply(i, this.#input({ kind: "broken", peer: sidOf(j) }), false, (next) => {
            next[this.#countersAt] = counters + (1 << BREAKS);
            this.#channels.set(next, i, j, nextGeneration(channel, keep));
          });
        }
      }
    }
    if (used(counters, CRASHES) < crashes) {
      for (let keep = 0; keep <= facts.pending; keep++) {
        for (let arriving = 0; arriving < 1 << this.#n; arriving++) this.#crash(i, keep, arriving);
      }
    }
  }

  /** @param arriving bit set of the peers at which the calls in flight still arrive */
  #crash(i: number, keep: number, arriving: number): void {
    for (let j = 0; j < this.#n; j++) {
      const matters = j !== i && this.#channels.of(this.#current, i, j).calls.length > 0;
      if (!matters && (arriving & (1 << j)) !== 0) return;
    }
    const counters = this.#current[this.#countersAt] as number;
    this.#apply(i, this.#input({ kind: "crash", keep }), false, (next) => {
      next[this.#countersAt] = counters + (1 << CRASHES);
      for (let j = 0; j < this.#n; j++) {
        if (j === i) continue;
        const out = this.#channels.of(this.#current, i, j);
        const calls = (arriving & (1 << j)) !== 0 ? out.calls : [];
        this.#channels.set(next, i, j, { ...out, boot: 0, broken: false, calls, returns: [] });
        const back = this.#channels.of(this.#current, j, i);
        this.#channels.set(next, j, i, {
          ...back,
          broken: (this.#facts[j] as Facts).up,
          calls: [],
          returns: [],
        });
      }
    });
  }

  /**
   * Whether some peer can receive this member's votes, and no message is in flight between them; otherwise the member would
   * send them without end.
   */
  #mayBeHeard(i: number): boolean {
    let heard = false;
    for (let j = 0; j < this.#n; j++) {
      if (j === i) continue;
      const channel = this.#channels.of(this.#current, i, j);
      const back = this.#channels.of(this.#current, j, i);
      const { up, pending } = this.#facts[j] as Facts;
      const waiting = channel.calls.length + channel.returns.length + back.calls.length + back.returns.length;
      if (waiting > 0 || pending > 0) return false;
      if (up && !channel.broken) heard = true;
    }
    return heard;
  }

  #input(input: Input): number {
    const key = nameOf(input);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#members.input(input);
    this.#ids.set(key, id);
    return id;
  }

  #local(i: number, input: Input, ordinary: boolean): void {
    this.#apply(i, input, ordinary, noChange);
  }

  /** Delivers the first message of a channel to a member. @param rest the channel without that message */
  #take(i: number, input: number, ordinary: boolean, from: number, to: number, rest: Channel): void {
    this.#apply(i, input, ordinary, (next) => this.#channels.set(next, from, to, rest));
  }

  #apply(i: number, what: Input | number, ordinary: boolean, change: (next: Int32Array) => void): void {
    const input = typeof what === "number" ? what : this.#input(what);
    if (this.#onStep === null) {
      const { kind } = this.#members.inputs.at(input);
      this.#steps += 1;
      this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    }
    const next = this.#next;
    next.set(this.#current);
    change(next);
    const within = this.#transition.run(next, i, input);
    const cost = this.#options.order === "depth" ? 1 : ordinary && this.#ordinary ? 0 : 1;
    if (ordinary) this.#ordinary = false;
    if (!within) return;
    const told = (): string =>
      this.#describe(i, input, this.#members.outcome(this.#current[i] as number, input));
    if (this.#onStep !== null) this.#onStep(next, told);
    else if (this.#transition.broken !== undefined)
      this.#violation ??= { text: this.#transition.broken, index: this.#index, last: told() };
    else this.#found(this.#frontier.costOf(this.#index) + cost, this.#frontier.depthOf(this.#index) + 1);
  }

  #found(cost: number, depth: number): void {
    const next = this.#next;
    const index = this.#frontier.add(next, this.#index, cost, depth);
    if (index === undefined) return;
    this.#depth = Math.max(this.#depth, depth);
    const members: Facts[] = [];
    for (let i = 0; i < this.#n; i++) members.push(this.#members.facts[next[i] as number] as Facts);
    const broken = check(
      members,
      this.#transition.ghostOf(next),
      this.#members.quorum.majority,
      this.#members.entries,
    );
    if (broken !== undefined) this.#violation ??= { text: broken, index, last: "" };
  }

  // ── description ──────────────────────────────────────────────────────────────

  #describe(i: number, input: number, outcome: Outcome): string {
    const what = describeInput(sidOf(i), this.#members.inputs.at(input));
    const out = outcome.out.map((each) => `${each.isCall ? "→" : "↩"}${each.to}`).join(" ");
    return out === "" ? what : `${what}  ${out}`;
  }

  /** The path to a state, step by step, each step with the members after it. */
  #path(index: number, last: string): string[] {
    const way = this.#frontier.wayTo(index);
    const lines: string[] = [];
    const target = this.#frontier.newState();
    for (let step = 0; step + 1 < way.length; step++) {
      this.#frontier.read(way[step + 1] as number, target);
      let told: string | undefined;
      this.#onStep = (next, what) => {
        if (told !== undefined) return;
        for (let i = 0; i < this.#length; i++) if (next[i] !== target[i]) return;
        told = what();
      };
      this.#expand(way[step] as number);
      lines.push(`${String(step + 1).padStart(3)}  ${told ?? "?"}`);
      for (let i = 0; i < this.#n; i++) {
        if (target[i] !== this.#current[i])
          lines.push(`       ${describeMember(this.#members, target[i] as number)}`);
      }
    }
    this.#onStep = null;
    if (last !== "") lines.push(`${String(way.length).padStart(3)}  ${last}`);
    return lines;
  }
}

const noChange = (): void => {};

const SYNCED: Input = { kind: "synced" };
const START: Input = { kind: "start" };
const DECIDE: Input = { kind: "decide" };
const RESEND: Input = { kind: "resend" };
const GIVE_UP: Input = { kind: "giveUp" };
const CHECKPOINT: Input = { kind: "checkpoint" };

/** A short text that is different for different inputs of a member itself. */
const nameOf = (input: Input): string =>
  input.kind === "broken" || input.kind === "silent"
    ? input.kind + input.peer
    : input.kind === "crash"
      ? `crash${input.keep}`
      : input.kind === "propose"
        ? `propose${input.n}`
        : input.kind;
