/**
 * Which learners are sent a proposal at once: those that a quorum needs, and those with a waiting client. The others receive it
 * within their patience, together with later proposals, in one call, and log it in one row.
 */
import { LATE_MS, PROMPT_MARGIN_MS } from "./config.ts";
import type { Learner } from "./learner.ts";
import type { Learners } from "./learners.ts";
import type { RoleHost } from "./role.ts";

/**
 * Chooses the learners for which no proposal is held back.
 * Invariant: those of them that are not late are a quorum with the leader; if that is impossible, nothing is held back.
 *
 * @source Moraru et al., There Is More Consensus in Egalitarian Parliaments (SOSP 2013), "thrifty"; decision 0019
 */
export class PromptQuorum {
  readonly #host: RoleHost;
  readonly #learners: Learners;
  /** stands for the learners that serve, and their patience, at the last choice */
  #seen = 0;
  /** when to choose again, since one of them may be late by then; ms */
  #reviewAt = 0;

  constructor(host: RoleHost, learners: Learners) {
    this.#host = host;
    this.#learners = learners;
  }

  /** Chooses again if the learners or their patience have changed, or after {@link LATE_MS}. */
  review(): void {
    let seen = 0;
    for (const { sid, upToDate, patienceMs } of this.#learners.all()) {
      if (upToDate) seen = (Math.imul(seen, 31) + (sid << 16) + patienceMs) | 0;
    }
    if (seen === this.#seen && this.#host.step.now < this.#reviewAt) return;
    this.#seen = seen;
    this.#choose();
  }

  #choose(): void {
    const { step, self } = this.#host;
    const { quorum, sid } = self;
    this.#reviewAt = step.now + LATE_MS;
    const prompt = [sid];
    const others: Learner[] = [];
    for (const learner of this.#learners.all()) {
      if (!learner.upToDate) continue;
      if (learner.patienceMs > 0) others.push(learner);
      else {
        learner.mayWait = false;
        if (!learner.isLate) prompt.push(learner.sid);
      }
    }
    if (others.length > 1) others.sort((a, b) => this.#rank(a) - this.#rank(b));
    for (const learner of others) {
      const isWanted = !learner.isLate && !quorum.contains(prompt);
      if (isWanted) prompt.push(learner.sid);
      learner.mayWait = !isWanted;
    }
    if (!quorum.contains(prompt)) for (const learner of others) learner.mayWait = false;
  }

  /** Sort key: near learners with impatient clients first; a learner chosen before has an advantage. */
  #rank({ sid, patienceMs, mayWait }: Learner): number {
    const { rttMs } = this.#host.links.of(sid);
    return (rttMs ?? 0) + patienceMs - (mayWait ? 0 : PROMPT_MARGIN_MS);
  }
}
