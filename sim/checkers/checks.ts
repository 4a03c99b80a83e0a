/** The results of the checkers: every check is counted, and the first that fails ends the run. */
import { RULES, type Rule } from "./rules.ts";
import type { EnsembleView } from "./view.ts";

/** A violated rule. */
export class Violation extends Error {
  readonly rule: Rule;

  constructor(rule: Rule, what: string) {
    super(`[${rule}] ${what}`);
    this.rule = rule;
  }
}

/** The checks of one run. Invariant: `counts` has every rule, checked or not. */
export class Checks {
  readonly #ensemble: EnsembleView;
  readonly #counts = new Map<Rule, number>(RULES.map((rule) => [rule, 0]));

  constructor(ensemble: EnsembleView) {
    this.#ensemble = ensemble;
  }

  /** *map rule → how often it was checked*: a run that checked nothing proves nothing */
  get counts(): ReadonlyMap<Rule, number> {
    return this.#counts;
  }

  /**
   * @param what description of the violation, to which seed, time and members are added
   * @throws Violation unless `holds`
   */
  must(rule: Rule, holds: boolean, what: () => string): void {
    this.#counts.set(rule, (this.#counts.get(rule) ?? 0) + 1);
    if (holds) return;
    const { seed, now } = this.#ensemble;
    throw new Violation(rule, `${what()} (seed ${seed}, at ${now}; ${this.#ensemble.describe()})`);
  }
}
