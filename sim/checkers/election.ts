/** One leader per epoch, and no leader without the history committed before it. */
import { must } from "../../core/assert.ts";
import type { PeerMessage } from "../../core/server/messages.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import { compareZxid, type Zxid } from "../../core/zab/zxid.ts";
import { type Checker, nameOf } from "./checker.ts";
import type { Checks } from "./checks.ts";
import { type Committed, type CommittedHistory, text } from "./committed-history.ts";
import { PerLife } from "./per-life.ts";
import type { LifeView } from "./view.ts";

/** Role and phase of a life as of its last step. */
interface Role {
  role: string;
  phase: string;
}

/**
 * Leadership1, Leadership2, PrimaryIntegrity. Records the leader of each epoch, and how far it has broadcast.
 * Invariant: an epoch has one leader in `#leaders`.
 */
export class ElectionChecker implements Checker {
  readonly #checks: Checks;
  readonly #history: CommittedHistory;
  /** *map epoch → its leader*: "sid/life" */
  readonly #leaders = new Map<number, string>();
  /** *map epoch → highest counter that its leader has broadcast* */
  readonly #broadcast = new Map<number, number>();
  /** epochs that were established, ascending, with the end of the history that each began with */
  readonly #established: { readonly epoch: number; readonly end: Zxid }[] = [];
  readonly #roles = new PerLife<Role>();
  /** the last epoch that had an established leader */
  lastEpoch = 0;
  /** epochs that had an established leader */
  leaderChanges = 0;

  constructor(checks: Checks, history: CommittedHistory) {
    this.#checks = checks;
    this.#history = history;
  }

  /** Whether this life leads the epoch, or led it. */
  leads(life: LifeView, epoch: number): boolean {
    return this.#leaders.get(epoch) === nameOf(life);
  }

  /** The highest counter that the leader of this epoch has broadcast; 0: none. */
  broadcastOf(epoch: number): number {
    return this.#broadcast.get(epoch) ?? 0;
  }

  started(life: LifeView): void {
    this.#roles.set(life, { role: "", phase: "" });
  }

  persisting(life: LifeView, writes: readonly DurableWrite[]): void {
    for (const write of writes) {
      if (write.type === "append" && this.leads(life, write.first.epoch)) this.#broadcasts(write.last);
    }
  }

  leaving(life: LifeView, _to: Sid, message: PeerMessage): void {
    switch (message.type) {
      case "DIFF":
      case "TRUNC":
      case "SNAP":
      case "SNAPCHUNK":
      case "NEWLEADER":
      case "UPTODATE":
      case "COMMIT":
        this.#isLeader(life, message.epoch);
        return;
      case "PROPOSAL":
        this.#isLeader(life, message.epoch);
        if (message.last.epoch === message.epoch) this.#broadcasts(message.last);
        return;
      default:
      // not of a leader that is beyond discovery
    }
  }

  stepped(life: LifeView): void {
    const known = this.#roles.of(life);
    const { zab } = life.server;
    const { role, phase } = zab;
    if (known.role === role && known.phase === phase) return;
    known.role = role;
    known.phase = phase;
    if (role !== "LEADING" || phase !== "BROADCAST") return;
    const { currentEpoch } = zab;
    this.#isLeader(life, currentEpoch);
    this.#establishes(life, currentEpoch);
    // Acks of a quorum may reach a leader late that was paused while others led. It need not have their txns.
    const { entries } = this.#history;
    const earlier = entries.findLastIndex(({ zxid }) => zxid.epoch < currentEpoch) + 1;
    const held = this.#history.heldBy(life);
    this.#checks.must(
      "PrimaryIntegrity",
      held === earlier,
      () => `${life.sid} lacks committed txns: ${held} of ${earlier}`,
    );
  }

  /** Each leader of a later epoch had this committed txn when its epoch began, unless it has broadcast nothing. */
  committed({ zxid }: Committed): void {
    for (let i = this.#established.length - 1; i >= 0; i--) {
      const { epoch, end } = must(this.#established[i], "inside");
      if (epoch <= zxid.epoch) return;
      this.#checks.must(
        "PrimaryIntegrity",
        compareZxid(zxid, end) <= 0 || this.broadcastOf(epoch) === 0,
        () => `${text(zxid)} is committed, and epoch ${epoch} began at ${text(end)}`,
      );
    }
  }

  #broadcasts(zxid: Zxid): void {
    if (zxid.counter > this.broadcastOf(zxid.epoch)) this.#broadcast.set(zxid.epoch, zxid.counter);
  }

  #isLeader(life: LifeView, epoch: number): void {
    const leader = nameOf(life);
    const known = this.#leaders.get(epoch);
    this.#checks.must(
      "Leadership1",
      known === undefined || known === leader,
      () => `${leader} and ${known} lead epoch ${epoch}`,
    );
    if (known === undefined) this.#leaders.set(epoch, leader);
  }

  #establishes(life: LifeView, epoch: number): void {
    this.leaderChanges += 1;
    this.#established.push({ epoch, end: life.server.zab.lastLogged.zxid });
    this.#established.sort((a, b) => a.epoch - b.epoch);
    this.lastEpoch = Math.max(this.lastEpoch, epoch);
    this.#checks.must(
      "Leadership2",
      this.leads(life, epoch),
      () => `${life.sid} is another established leader of epoch ${epoch}`,
    );
  }
}
