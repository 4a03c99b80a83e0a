/** Runs the effects of a step of the core. */
import { assertNever } from "../../core/assert.ts";
import type { ServerEffect } from "../../core/server/effects.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { FaultGate } from "../shared/fault-gate.ts";
import type { Incarnation } from "./incarnation.ts";
import { type Lifecycle, messageOf } from "./lifecycle.ts";
import type { PeerCalls } from "./peer-calls.ts";
import type { Requests } from "./requests.ts";
import type { Sleep } from "./sleep.ts";
import type { Sockets } from "./sockets.ts";
import type { Waits } from "./waits.ts";

/** The parts of the node that run effects. */
export interface EffectPorts {
  readonly state: DurableObjectState;
  readonly faults: FaultGate;
  readonly lifecycle: Lifecycle;
  readonly requests: Requests;
  readonly waits: Waits;
  readonly sockets: Sockets;
  readonly peers: PeerCalls;
  readonly sleep: Sleep;
}

/** Messages to one peer that are sent in one call. */
interface Outgoing {
  readonly generation: number;
  readonly messages: PeerMessage[];
}

/**
 * Runs effects in the order in which the core lists them.
 * Invariant: a message that follows a write in the list is sent after it; messages to one peer between two writes are sent
 * in one call.
 * @source etcd-raft's `Ready`, as one ordered list
 */
export class EffectRunner {
  readonly #ports: EffectPorts;

  constructor(ports: EffectPorts) {
    this.#ports = ports;
  }

  /** @returns the messages of the replies. @throws what storage throws, or an Error with the core's reason to abort */
  run(incarnation: Incarnation, now: number, effects: readonly ServerEffect[]): PeerMessage[] {
    const { lifecycle, sockets, peers, sleep } = this.#ports;
    const { server, storage, links, feed } = incarnation;
    const replies: PeerMessage[] = [];
    const outgoing = new Map<Sid, Outgoing>();
    for (const effect of effects) {
      switch (effect.type) {
        case "respond":
          if (!sockets.connections.respond(effect.token, effect.xid, effect.answer)) {
            this.#ports.requests.respond(effect.token, effect.answer);
          }
          break;
        case "send": {
          const waiting = outgoing.get(effect.to);
          if (waiting !== undefined && waiting.generation === effect.generation)
            waiting.messages.push(effect.message);
          else {
            if (waiting !== undefined) links.get(effect.to)?.send(waiting.generation, waiting.messages);
            outgoing.set(effect.to, { generation: effect.generation, messages: [effect.message] });
          }
          break;
        }
        case "persist":
          post(incarnation, outgoing);
          storage.persist(effect.writes);
          this.#reportPersisted(effect.seq);
          break;
        case "reply":
          replies.push(effect.message);
          break;
        case "refuse":
          console.error(JSON.stringify({ event: "refused", ensemble: incarnation.config, ...effect }));
          peers.refuse();
          break;
        case "notify":
          sockets.connections.notify(effect);
          sockets.streams.notify(effect);
          this.#ports.waits.notify(effect.token);
          break;
        case "yield":
          setTimeout(() => lifecycle.feed({ type: "yielded" }), 0);
          break;
        case "hold":
          setTimeout(() => lifecycle.feed({ type: "released" }), effect.ms);
          break;
        case "trace":
          feed.record(now, effect.event);
          break;
        case "checkpoint":
          incarnation.checkpoint();
          replies.push(...this.run(incarnation, now, server.checkpointed(now)));
          break;
        case "reloadTree":
          replies.push(...this.run(incarnation, now, server.loadTree(now, storage.loadTree())));
          break;
        case "dropClients":
          sockets.closeWatching();
          this.#ports.waits.endAll();
          break;
        case "asleep":
          sleep.begin(incarnation);
          break;
        case "wakeOwner":
          void sleep.wakeOwner(incarnation, effect.parked);
          break;
        case "disconnect":
          sockets.connections.disconnect(effect);
          break;
        case "abort":
          throw new Error(effect.reason);
        default:
          assertNever(effect);
      }
    }
    post(incarnation, outgoing);
    sockets.flush();
    return replies;
  }

  /** Feeds `persisted` once everything written so far is durable. */
  #reportPersisted(seq: number): void {
    const { state, faults, lifecycle } = this.#ports;
    state.storage.sync().then(
      () => faults.stored(() => lifecycle.feed({ type: "persisted", seq })),
      (error: unknown) => lifecycle.abort(messageOf(error)),
    );
  }
}

/** Sends the collected messages of each peer. */
function post({ links }: Incarnation, outgoing: Map<Sid, Outgoing>): void {
  for (const [peer, { generation, messages }] of outgoing) links.get(peer)?.send(generation, messages);
  outgoing.clear();
}
