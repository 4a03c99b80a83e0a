/** Applies one step of a member to a state: sends its messages and checks the rules of the run. */
import type { Channels } from "./channels.ts";
import { advance, type Ghost, ghostKey } from "./ghost.ts";
import type { Members } from "./member.ts";
import { ELECTIONS, type SearchOptions, used } from "./scope.ts";
import { type Facts, isVote, type Outcome } from "./step.ts";
import { Interner } from "./tables.ts";

/**
 * Changes a state, an array of numbers, by the outcome of one input of a member.
 * Invariant: the state also has the number of the {@link Ghost}, which is all that a step needs beside members and channels.
 */
export class Transition {
  readonly #options: SearchOptions;
  readonly #members: Members;
  readonly #channels: Channels;
  readonly #ghosts = new Interner<Ghost>();
  readonly #n: number;
  /** index of the ghost in a state */
  readonly #ghostAt: number;
  /** index of the counters in a state */
  readonly #countersAt: number;
  /** the rule that the current step violates; undefined: none */
  broken: string | undefined;
  /** highest number of committed txns in a state */
  maxCommitted = 0;
  /** highest epoch with a leader */
  maxEpoch = 0;

  constructor(
    options: SearchOptions,
    members: Members,
    channels: Channels,
    ghostAt: number,
    countersAt: number,
  ) {
    this.#options = options;
    this.#members = members;
    this.#channels = channels;
    this.#n = options.servers;
    this.#ghostAt = ghostAt;
    this.#countersAt = countersAt;
  }

  /** Initializes the ghost of a run. @param root entry of the empty history */
  begin(state: Int32Array, root: number): void {
    state[this.#ghostAt] = this.#ghost({ leaders: {}, begun: {}, committed: [root] });
    state[this.#countersAt] = 0;
  }

  /** The ghost of a state. */
  ghostOf(state: Int32Array): Ghost {
    return this.#ghosts.at(state[this.#ghostAt] as number);
  }

  /** Feeds an input to a member, sends its messages and delivers votes. @returns false if that leaves the scope */
  run(next: Int32Array, i: number, input: number): boolean {
    this.broken = undefined;
    return this.#land(next, i, input) && (this.#options.votes === "free" || this.#settleVotes(next));
  }

  /** Feeds an input to a member and sends its messages. @returns false if that leaves the scope */
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
    this.broken ??= this.#remember(next, before, outcome);
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

  /** Sends the outputs of a member. */
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

  /** Delivers the votes that are first in their channels, until none is left. @returns false if that leaves the scope */
  #settleVotes(next: Int32Array): boolean {
    for (let again = true; again && this.broken === undefined; ) {
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

  /** Updates the ghost. @returns the violated rule, if any */
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
      this.maxCommitted = Math.max(this.maxCommitted, known.committed.length - 1);
      this.maxEpoch = Math.max(this.maxEpoch, outcome.leads);
    }
    return undefined;
  }

  #ghost(ghost: Ghost): number {
    return this.#ghosts.id(ghostKey(ghost), () => ghost);
  }
}
