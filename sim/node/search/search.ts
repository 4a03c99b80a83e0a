/**
 * Explicit-state search: every state that a small ensemble can reach, whatever order things happen in and whatever fails within
 * the scope, each visited once, with the invariants of `ghost.ts` checked in each.
 *
 * A state is a handful of numbers: the state of every member, of every channel, what is known of the run, and what is left of
 * the scope. Members and channels repeat in millions of states, so each is kept once, and the core computes each step of a
 * member once.
 *
 * What may happen, in any order: a call or a return arrives (in order per link); the oldest write of a member becomes durable;
 * a member crashes, keeping any prefix of what it was writing, and of its calls and returns on their way any prefix arrives; it
 * starts again; a link breaks with any prefix of its calls executed; a deadline passes (a decision without further votes, votes
 * said again, a role given up, a learner dropped); a client writes; a member makes a checkpoint and cuts its log.
 *
 * Left out, and why that hides nothing but time: pings (what they notice may happen at any moment anyway), returns that carry
 * nothing, calls to a member that is down or over a link that has failed (they are lost).
 *
 * @source Holzmann, "State compression in SPIN" (1997): collapse compression
 */

import { type Channel, Channels, nextGeneration } from "./channels.ts";
import { Frontier } from "./frontier.ts";
import { advance, check, type Ghost, ghostKey } from "./ghost.ts";
import { Members } from "./member.ts";
import { describeInput, describeMember } from "./path.ts";
import { type Facts, type Input, isVote, type Outcome, Role, sidOf } from "./step.ts";
import { Interner } from "./tables.ts";

/** What is explored. */
export interface Scope {
  readonly servers: number;
  readonly crashes: number;
  /** elections that each member may take part in, its first one included */
  readonly elections: number;
  readonly txns: number;
  /** links that break, or learners that fall silent, without a crash */
  readonly breaks: number;
  readonly checkpoints: number;
}

/** Scope and limits of a search. */
export interface SearchOptions extends Scope {
  readonly states: number;
  readonly minutes: number;
  /** "depth": by the number of steps; "deviations": by how often a step was not the most ordinary one */
  readonly order: "depth" | "deviations";
  /** "at once": a vote arrives as soon as nothing is on its way before it, in the same step; "free": like any other message */
  readonly votes: "free" | "at once";
}

/** Outcome of a search. */
export interface SearchResult {
  readonly scope: SearchOptions;
  /** distinct states found */
  readonly states: number;
  /** of these, those of which every step was looked at */
  readonly expanded: number;
  /** steps looked at */
  readonly steps: number;
  /** the longest of the shortest known ways to a state */
  readonly depth: number;
  /** everything with at most this cost (steps or deviations) was looked at */
  readonly completeTo: number;
  readonly terminated: boolean;
  readonly seconds: number;
  /** distinct states of single members, and steps of them that the core computed */
  readonly memberStates: number;
  readonly memberSteps: number;
  /** how often each kind of thing was looked at */
  readonly kinds: Readonly<Record<string, number>>;
  readonly maxCommitted: number;
  readonly maxEpoch: number;
  readonly violation: string | undefined;
  readonly path: readonly string[];
}

/** Counters of what was used of the scope, in one number. */
const CRASHES = 0;
const BREAKS = 3;
const TXNS = 6;
const CHECKPOINTS = 9;
const ELECTIONS = 12;
const used = (counters: number, shift: number): number => (counters >> shift) & 7;

const ZERO_COST = 0;
const PROGRESS_MS = 5_000;

/** A search. Invariant: every visited state is visited once, and its rules were checked. */
export class Search {
  readonly #options: SearchOptions;
  readonly #n: number;
  readonly #members: Members;
  readonly #channels: Channels;
  readonly #ghosts = new Interner<Ghost>();
  readonly #ghostAt: number;
  readonly #countersAt: number;
  /** numbers that make a state */
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
  #maxCommitted = 0;
  #maxEpoch = 0;
  #violation: { text: string; index: number; last: string } | undefined;
  /** sees every step of the state that is looked at, while a path is printed */
  #onStep: ((next: Int32Array, what: () => string) => void) | null = null;
  /** the rule that the step under way breaks */
  #broken: string | undefined;
  /** no ordinary step was found yet in the state that is looked at */
  #ordinary = true;

  constructor(options: SearchOptions) {
    this.#options = options;
    const n = options.servers;
    this.#n = n;
    this.#members = new Members(n % 2 === 0 ? n + 1 : n);
    this.#channels = new Channels(n, n);
    this.#ghostAt = n + n * (n - 1);
    this.#countersAt = this.#ghostAt + 1;
    this.#length = this.#countersAt + 1;
    this.#frontier = new Frontier(this.#length);
    this.#current = this.#frontier.newState();
    this.#next = this.#frontier.newState();
  }

  /** @param onProgress gets, every few seconds, the number of states and the cost up to which all were looked at */
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
        if (this.#frontier.costOf(index) !== cost) continue; // found cheaper, and looked at
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
      maxCommitted: this.#maxCommitted,
      maxEpoch: this.#maxEpoch,
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
    this.#next[this.#ghostAt] = this.#ghost({ leaders: {}, begun: {}, committed: [root] });
    this.#next[this.#countersAt] = 0;
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

  /** @param arriving the peers, as bits, at which the calls on their way still arrive */
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

  /** Is there anybody who would hear this member, and is nothing on its way between them? Else it would be said without end. */
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

  /** The member takes something from a channel, of which this is left. */
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
    this.#broken = undefined;
    const within = this.#land(next, i, input) && (this.#options.votes === "free" || this.#settleVotes(next));
    const cost = this.#options.order === "depth" ? 1 : ordinary && this.#ordinary ? 0 : 1;
    if (ordinary) this.#ordinary = false;
    if (!within) return;
    const told = (): string =>
      this.#describe(i, input, this.#members.outcome(this.#current[i] as number, input));
    if (this.#onStep !== null) this.#onStep(next, told);
    else if (this.#broken !== undefined)
      this.#violation ??= { text: this.#broken, index: this.#index, last: told() };
    else this.#found(this.#frontier.costOf(this.#index) + cost, this.#frontier.depthOf(this.#index) + 1);
  }

  /** A member takes an input, and its messages are sent. @returns false when that leaves the scope */
  #land(next: Int32Array, i: number, input: number): boolean {
    const before = next[i] as number;
    const outcome = this.#members.outcome(before, input);
    next[i] = outcome.next;
    if (outcome.looks > 0) {
      const counters = next[this.#countersAt] as number;
      const shift = ELECTIONS + 3 * i;
      if (used(counters, shift) + outcome.looks > this.#options.elections) return false;
      next[this.#countersAt] = counters + (outcome.looks << shift);
    }
    if (this.#members.inputs.at(input).kind === "start") this.#restarted(next, i, outcome);
    this.#broken ??= this.#remember(next, before, outcome);
    this.#deliver(next, i, outcome);
    return true;
  }

  #restarted(next: Int32Array, i: number, outcome: Outcome): void {
    const { boot } = this.#members.facts[outcome.next] as Facts;
    for (let j = 0; j < this.#n; j++) {
      if (j === i) continue;
      const old = this.#channels.of(next, i, j);
      this.#channels.set(next, i, j, {
        ...old,
        boot,
        generation: 1,
        broken: false,
        refused: false,
        returns: [],
      });
      const back = this.#channels.of(next, j, i);
      this.#channels.set(next, j, i, { ...back, refused: false });
    }
  }

  /** Sends what left the member. */
  #deliver(next: Int32Array, i: number, outcome: Outcome): void {
    for (const { to, isCall, input, boot, generation } of outcome.out) {
      const j = to - 1;
      if (j >= this.#n) continue;
      const at = isCall ? this.#channels.slot(i, j) : this.#channels.slot(j, i);
      const number = next[at] as number;
      const channel = this.#channels.at(number);
      if (channel.broken) continue;
      const isUp = (this.#members.facts[next[j] as number] as Facts).up;
      if (isCall ? !isUp : channel.boot !== boot || channel.generation !== generation) {
        if (isCall && !channel.refused) next[at] = this.#channels.id({ ...channel, broken: true });
        continue;
      }
      next[at] = this.#channels.push(number, input, isCall);
    }
  }

  /** Lets the votes arrive that are first on their way, and what comes of them. @returns false when that leaves the scope */
  #settleVotes(next: Int32Array): boolean {
    for (let again = true; again && this.#broken === undefined; ) {
      again = false;
      for (let i = 0; i < this.#n; i++) {
        for (let j = 0; j < this.#n; j++) {
          if (j === i) continue;
          const at = this.#channels.slot(i, j);
          let channel = this.#channels.at(next[at] as number);
          const [answer] = channel.returns;
          if (answer !== undefined && isVote(this.#members.inputs.at(answer))) {
            next[at] = this.#channels.id({ ...channel, returns: channel.returns.slice(1) });
            if (!this.#land(next, i, answer)) return false;
            again = true;
            channel = this.#channels.at(next[at] as number);
          }
          const [call] = channel.calls;
          const isUp = (this.#members.facts[next[j] as number] as Facts).up;
          if (call !== undefined && isUp && isVote(this.#members.inputs.at(call))) {
            next[at] = this.#channels.id({ ...channel, calls: channel.calls.slice(1) });
            if (!this.#land(next, j, call)) return false;
            again = true;
          }
        }
      }
    }
    return true;
  }

  /** @returns the rule that is broken, if any */
  #remember(next: Int32Array, before: number, outcome: Outcome): string | undefined {
    const ghost = this.#ghosts.at(next[this.#ghostAt] as number);
    const facts = this.#members.facts[outcome.next] as Facts;
    if (
      outcome.failure === undefined &&
      outcome.leads === 0 &&
      outcome.delivered.length === 0 &&
      outcome.loaded < 0 &&
      outcome.reasons.length === 0
    ) {
      return undefined;
    }
    const known = advance(
      ghost,
      facts.up ? facts : (this.#members.facts[before] as Facts),
      outcome,
      this.#members.entries,
      this.#options.breaks === 0,
    );
    if ("broken" in known) return known.broken;
    if (known !== ghost) {
      next[this.#ghostAt] = this.#ghost(known);
      this.#maxCommitted = Math.max(this.#maxCommitted, known.committed.length - 1);
      this.#maxEpoch = Math.max(this.#maxEpoch, outcome.leads);
    }
    return undefined;
  }

  #found(cost: number, depth: number): void {
    const next = this.#next;
    const index = this.#frontier.add(next, this.#index, cost, depth);
    if (index === undefined) return;
    this.#depth = Math.max(this.#depth, depth);
    const members: Facts[] = [];
    for (let i = 0; i < this.#n; i++) members.push(this.#members.facts[next[i] as number] as Facts);
    const ghost = this.#ghosts.at(next[this.#ghostAt] as number);
    const broken = check(members, ghost, this.#members.quorum.majority, this.#members.entries);
    if (broken !== undefined) this.#violation ??= { text: broken, index, last: "" };
  }

  #ghost(ghost: Ghost): number {
    return this.#ghosts.id(ghostKey(ghost), () => ghost);
  }

  // ── telling ──────────────────────────────────────────────────────────────

  #describe(i: number, input: number, outcome: Outcome): string {
    const what = describeInput(sidOf(i), this.#members.inputs.at(input));
    const out = outcome.out.map((each) => `${each.isCall ? "→" : "↩"}${each.to}`).join(" ");
    return out === "" ? what : `${what}  ${out}`;
  }

  /** The way to a state, step by step, each with the members behind it. */
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

/** A short text that no two inputs of a member itself have in common. */
const nameOf = (input: Input): string =>
  input.kind === "broken" || input.kind === "silent"
    ? input.kind + input.peer
    : input.kind === "crash"
      ? `crash${input.keep}`
      : input.kind === "propose"
        ? `propose${input.n}`
        : input.kind;
