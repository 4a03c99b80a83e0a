/** The effects of one step of a member. */
import type { Link } from "../zab/links.ts";
import type { Sid } from "../zab/membership.ts";
import type { ServerAnswer } from "./answers.ts";
import type { ServerEffect } from "./effects.ts";
import { NO_TOKEN, type Token } from "./ids.ts";
import type { PeerMessage } from "./messages.ts";

/**
 * Collects the effects of the current step, in the order in which the shell runs them.
 * Every part of the member writes to this one list, so their effects have one order.
 *
 * @source etcd-raft `Ready`, but ordered
 */
export class EffectList {
  readonly #links: ReadonlyMap<Sid, Readonly<Link>>;
  #effects: ServerEffect[] = [];

  /** @param links links to the peers; a message is sent on the current generation of its link */
  constructor(links: ReadonlyMap<Sid, Readonly<Link>>) {
    this.#links = links;
  }

  /** Appends an effect. */
  push(effect: ServerEffect): void {
    this.#effects.push(effect);
  }

  /** Sends a message to a peer, on the current generation of the link to it. */
  send(to: Sid, message: PeerMessage): void {
    const generation = this.#links.get(to)?.generation ?? 0;
    this.#effects.push({ type: "send", to, generation, message });
  }

  /** Answers a request of a client. A request of the member itself gets no answer. */
  respond(token: Token, xid: number, answer: ServerAnswer): void {
    if (token !== NO_TOKEN) this.#effects.push({ type: "respond", token, xid, answer });
  }

  /** Ends the step. @returns its effects, which the caller owns */
  take(): ServerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
