import { describe, expect, it } from "vitest";
import {
  type Envelope,
  type LinkReturn,
  PeerLink,
  type PeerStub,
  type Refused,
} from "../../../durable-objects/shared/peer-link.ts";

/** A peer that answers while it lives. */
class Peer implements PeerStub<string> {
  readonly calls: Envelope<string>[] = [];
  isAlive = true;
  closed = 0;

  async deliver(envelope: Envelope<string>): Promise<LinkReturn<string> | Refused> {
    if (!this.isAlive) throw new Error("gone");
    this.calls.push(envelope);
    return { boot: 1, messages: [] };
  }

  close(): void {
    this.closed += 1;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function linked() {
  const peer = new Peer();
  const returned: number[] = [];
  const broken: number[] = [];
  const stubs: Peer[] = [];
  const connect = (): Peer => {
    const stub = stubs.length === 0 ? peer : new Peer();
    stubs.push(stub);
    return stub;
  };
  const link = new PeerLink<string>({ sid: 1, boot: 1 }, 2, connect, {
    returned: (_, generation) => returned.push(generation),
    broken: (_, generation) => broken.push(generation),
  });
  return { peer, stubs, link, returned, broken };
}

describe("a peer that may have crashed", () => {
  it("[NODE-20] is called without messages on the link in use, which breaks if the peer is gone", async () => {
    const { peer, link, returned, broken } = linked();
    link.send(3, ["one"]);
    link.probe();
    await turn();
    expect(peer.calls.map(({ generation, seq, messages }) => ({ generation, seq, messages }))).toEqual([
      { generation: 3, seq: 0, messages: ["one"] },
      { generation: 3, seq: 1, messages: [] },
    ]);
    expect([returned, broken]).toEqual([[3, 3], []]);
    peer.isAlive = false;
    link.probe();
    await turn();
    expect([returned, broken]).toEqual([[3, 3], [3]]);
  });

  it("[NODE-20] is not called on a link that is not in use, or is released", async () => {
    const { peer, stubs, link, broken } = linked();
    link.probe();
    link.send(1, ["one"]);
    link.release();
    link.probe();
    await turn();
    expect(peer.calls.length).toBe(1);
    link.send(2, ["two"]);
    link.probe();
    await turn();
    expect(stubs[1]?.calls.map(({ generation, seq }) => [generation, seq])).toEqual([
      [2, 0],
      [2, 1],
    ]);
    expect(broken).toEqual([]);
  });

  it("[NODE-20] holds a channel at every moment while its link is replaced", async () => {
    const { stubs, link } = linked();
    const closed = (): number[] => stubs.map((stub) => stub.closed);
    link.send(1, ["one"]);
    await turn();
    link.send(2, ["two"]);
    expect(closed()).toEqual([0, 0]);
    await turn();
    expect(closed()).toEqual([1, 0]);
    link.send(3, ["three"]);
    link.send(4, ["four"]);
    expect(closed()).toEqual([1, 1, 0, 0]);
    link.release();
    expect(closed()).toEqual([1, 1, 1, 1]);
  });
});
