/** Sends a SNAP to one learner: the rows of the checkpoint in chunks, at a limited rate. */
import { assert } from "../assert.ts";
import type { Sid } from "./membership.ts";
import type { RoleHost } from "./role.ts";
import type { Epoch } from "./zxid.ts";

/**
 * One SNAP that is being sent. Invariant: chunks are read and sent in order, each once.
 * @source ZooKeeper LearnerHandler; the limited rate: ZooKeeper LearnerSnapshotThrottler
 */
export class SnapshotSender {
  readonly #host: RoleHost;
  readonly #sid: Sid;
  readonly #join: number;
  readonly #epoch: Epoch;
  /** undefined at the end */
  #cursor: string | undefined = "";
  #index = 0;
  #dueAt: number;

  /** @param join number of the stay of the learner @param epoch epoch that the learner was offered */
  constructor(host: RoleHost, sid: Sid, join: number, epoch: Epoch) {
    this.#host = host;
    this.#sid = sid;
    this.#join = join;
    this.#epoch = epoch;
    this.#dueAt = host.step.now;
  }

  /** Whether the last chunk was sent. */
  get isDone(): boolean {
    return this.#cursor === undefined;
  }

  /** Time of the next chunk, if the clients of the leader are to be served meanwhile; ms. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Reads and sends the next chunk. */
  send(): void {
    const { self, links, snapshot, step } = this.#host;
    assert(this.#cursor !== undefined, "a SNAP ends with its last chunk");
    const version = Math.min(self.version, links.of(this.#sid).version);
    const { bytes, next } = snapshot.read(this.#cursor, self.config.snapChunkBytesMax, version);
    links.send(this.#sid, {
      type: "SNAPCHUNK",
      join: this.#join,
      epoch: this.#epoch,
      index: this.#index,
      bytes,
      done: next === undefined,
    });
    this.#cursor = next;
    this.#index += 1;
    if (!this.isDone)
      this.#dueAt = step.now + Math.floor((bytes.length * 1000) / self.config.snapBytesPerSecond);
  }
}
