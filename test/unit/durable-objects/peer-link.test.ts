import { describe, expect, it } from "vitest";
import {
  type LinkReturn,
  PeerLink,
  type PeerStub,
  RELEASED,
  type Refused,
  type Released,
} from "../../../durable-objects/shared/peer-link.ts";

/** A peer whose answers the test gives. */
class Peer implements PeerStub<string> {
  readonly parked: ((word: Released | undefined) => void)[] = [];

  async deliver(): Promise<LinkReturn<string> | Refused> {
    return { boot: 1, messages: [] };
  }

  park(): Promise<Released | undefined> {
    return new Promise((resolve) => this.parked.push(resolve));
  }

  close(): void {}
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function linked() {
  const peer = new Peer();
  const broken: number[] = [];
  const link = new PeerLink<string>({ sid: 1, boot: 1 }, 2, () => peer, {
    returned() {},
    broken: (_, generation) => broken.push(generation),
  });
  return { peer, link, broken };
}

describe("a call that is parked at a peer", () => {
  it("[NODE-20] is parked again when the peer that let it go for its sleep is awake, and its end means a crash again", async () => {
    const { peer, link, broken } = linked();
    link.park(1);
    peer.parked[0]?.(RELEASED);
    await turn();
    expect(broken).toEqual([]);
    link.parkAgain(1);
    link.parkAgain(1);
    expect(peer.parked.length).toBe(2);
    peer.parked[1]?.(undefined);
    await turn();
    expect(broken).toEqual([1]);
  });

  it("[NODE-20] is parked once as long as it is not let go, and not again on a link that is replaced", async () => {
    const { peer, link, broken } = linked();
    link.park(1);
    link.parkAgain(1);
    expect(peer.parked.length).toBe(1);
    link.park(2);
    peer.parked[0]?.(RELEASED);
    await turn();
    link.parkAgain(1);
    link.parkAgain(2);
    expect(peer.parked.length).toBe(2);
    expect(broken).toEqual([]);
  });
});
