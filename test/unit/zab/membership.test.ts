/** Peers of a membership whose sids are not 1 … n: nothing in Zab counts on that. */
import { describe, expect, it } from "vitest";
import { must } from "../../../core/assert.ts";
import { CHAIN_START } from "../../../core/hash/chain.ts";
import { appendTxn } from "../../../core/wire/txn-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import { makeZabConfig } from "../../../core/zab/config.ts";
import type { ZabEffect } from "../../../core/zab/effects.ts";
import { asSid, makeMembership, type Sid } from "../../../core/zab/membership.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";
import { ZabPeer } from "../../../core/zab/peer.ts";
import { TxnLog } from "../../../core/zab/txn-log.ts";
import { asEpoch, ZXID_ZERO, type Zxid, zxid } from "../../../core/zab/zxid.ts";
import type { SessionId } from "../../../core/znode/types.ts";
import { MemoryLogStorage } from "./memory-log-storage.ts";

const START = { zxid: ZXID_ZERO, chain: CHAIN_START };

interface Call {
  readonly from: Sid;
  readonly to: Sid;
  readonly generation: number;
  readonly message: ZabMessage;
}

/** Peers whose calls arrive at once and in order, and whose writes are durable at once. */
class Peers {
  readonly #peers = new Map<
    Sid,
    { readonly peer: ZabPeer; readonly log: TxnLog; readonly seqs: Map<Sid, number> }
  >();
  readonly #calls: Call[] = [];
  readonly delivered: string[] = [];
  #now = 1_000;

  constructor(sids: readonly number[]) {
    const membership = makeMembership(0, sids.map(asSid));
    for (const sid of membership.participants) {
      const log = new TxnLog(new MemoryLogStorage(), [], START);
      const snapshot = {
        position: () => START,
        isConfirmed: true,
        read: () => ({ bytes: new Uint8Array(0), next: undefined }),
      };
      const peer = new ZabPeer(sid, membership, makeZabConfig(), log, snapshot, {
        boot: 1,
        acceptedEpoch: asEpoch(0),
        promisedTo: null,
        currentEpoch: asEpoch(0),
        initialized: true,
        founding: false,
        needSnap: false,
        peerBoots: [],
        applied: ZXID_ZERO,
      });
      this.#peers.set(sid, { peer, log, seqs: new Map() });
    }
    for (const [sid, { peer }] of this.#peers) this.#run(sid, peer.step(this.#now, { type: "start" }));
    this.#deliverCalls();
  }

  get leader(): ZabPeer | undefined {
    return this.all.find((peer) => peer.proposing !== undefined);
  }

  get all(): ZabPeer[] {
    return [...this.#peers.values()].map(({ peer }) => peer);
  }

  propose(sid: Sid, next: Zxid): void {
    const writer = new ByteWriter(64);
    const header = { session: 1 as SessionId, xid: 1, zxid: next, timeMs: 0 };
    appendTxn(writer, header, { type: "error", code: "NO_NODE", ops: 0, at: 0 });
    this.#run(sid, this.#of(sid).peer.propose(this.#now, writer.view().slice()));
    this.#deliverCalls();
  }

  #of(sid: Sid) {
    return must(this.#peers.get(sid), "a message is sent to a member");
  }

  #deliverCalls(): void {
    for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) {
      const { from, to, generation, message } = call;
      const { seqs, peer } = this.#of(from);
      const seq = seqs.get(to) ?? 0;
      seqs.set(to, seq + 1);
      const origin = { from, boot: 1, generation, seq };
      const messages = this.#run(
        to,
        this.#of(to).peer.step(this.#now, { type: "call", origin, messages: [message] }),
      );
      this.#run(from, peer.step(this.#now, { type: "returned", peer: to, generation, boot: 1, messages }));
      for (const each of [from, to]) this.#run(each, this.#of(each).peer.flushCommits(this.#now));
    }
  }

  #run(sid: Sid, effects: readonly ZabEffect[]): ZabMessage[] {
    const replies: ZabMessage[] = [];
    const { peer, log } = this.#of(sid);
    for (const effect of effects) {
      if (effect.type === "send") this.#calls.push({ from: sid, ...effect });
      else if (effect.type === "reply") replies.push(effect.message);
      else if (effect.type === "deliver")
        this.delivered.push(`${sid}: ${effect.upTo.epoch}.${effect.upTo.counter}`);
      else if (effect.type === "persist") {
        for (const write of effect.writes)
          if (write.type === "append") log.append(write.batch, write, write.chain);
        replies.push(...this.#run(sid, peer.step(this.#now, { type: "persisted", seq: effect.seq })));
      }
    }
    return replies;
  }
}

describe("a membership of any sids", () => {
  for (const sids of [[255], [7, 200, 255], [2, 3, 90, 91, 254]]) {
    it(`[ZAB-21] elects, synchronizes and commits: ${sids.join(", ")}`, () => {
      const peers = new Peers(sids);
      const leader = must(peers.leader, "the best candidate is known to all");
      expect(leader.leader).toBe(Math.max(...sids));
      peers.propose(asSid(Math.max(...sids)), zxid(1, 1));
      expect([...peers.delivered].sort()).toEqual(sids.map((sid) => `${sid}: 1.1`).sort());
      expect(peers.all.map((peer) => peer.phase)).toEqual(sids.map(() => "BROADCAST"));
      for (const peer of peers.all)
        for (const sid of peer.links.keys()) expect(peer.incarnationOf(sid)).toBe(1);
    });
  }
});
