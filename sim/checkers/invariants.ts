/**
 * Invariants of every run: the checkers of one simulated ensemble. The ensemble reports all events to {@link
 * Invariants}, which passes them to the checkers in their order. The rules are in `rules.ts`.
 */
import type { PeerMessage } from "../../core/server/messages.ts";
import type { TxnCursor } from "../../core/wire/txn-codec.ts";
import type { DurableWrite } from "../../core/zab/effects.ts";
import type { Sid } from "../../core/zab/membership.ts";
import type { Zxid } from "../../core/zab/zxid.ts";
import type { Checker } from "./checker.ts";
import { Checks } from "./checks.ts";
import { type Committed, CommittedHistory } from "./committed-history.ts";
import { DeliveryChecker } from "./delivery.ts";
import { DigestChecker } from "./digests.ts";
import { DiscoveryChecker } from "./discovery.ts";
import { ElectionChecker } from "./election.ts";
import { EpochChecker } from "./epochs.ts";
import { LogChecker } from "./log.ts";
import { OwnershipChecker } from "./ownership.ts";
import { ReadinessChecker } from "./readiness.ts";
import { RequestChecker } from "./requests.ts";
import type { Rule } from "./rules.ts";
import { SessionChecker } from "./sessions.ts";
import { SynchronizationChecker } from "./synchronization.ts";
import type { EnsembleView, LifeView, MemberView } from "./view.ts";

type Hook = keyof Checker;

/** A checker that has this method. */
type With<H extends Hook> = Checker & Required<Pick<Checker, H>>;

/**
 * The checkers of one run. Clients report what they do to the checker that it concerns; members and links report through the
 * methods of this class. A new checker is one more entry of the list in the constructor.
 */
export class Invariants {
  readonly #checks: Checks;
  readonly #history = new CommittedHistory();
  readonly election: ElectionChecker;
  readonly readiness: ReadinessChecker;
  readonly sessions: SessionChecker;
  readonly ownership: OwnershipChecker;
  readonly requests: RequestChecker;
  readonly digests: DigestChecker;
  readonly #started: readonly With<"started">[];
  readonly #crashed: readonly With<"crashed">[];
  readonly #wiped: readonly With<"wiped">[];
  readonly #persisting: readonly With<"persisting">[];
  readonly #persisted: readonly With<"persisted">[];
  readonly #synced: readonly With<"synced">[];
  readonly #saying: readonly With<"saying">[];
  readonly #leaving: readonly With<"leaving">[];
  readonly #arriving: readonly With<"arriving">[];
  readonly #handled: readonly With<"handled">[];
  readonly #stepped: readonly With<"stepped">[];
  readonly #committed: readonly With<"committed">[];
  readonly #checkpointed: readonly With<"checkpointed">[];

  constructor(ensemble: EnsembleView) {
    const checks = new Checks(ensemble);
    const history = this.#history;
    const synchronization = new SynchronizationChecker(checks);
    const election = new ElectionChecker(checks, history);
    const log = new LogChecker(ensemble, checks, history, synchronization);
    const readiness = new ReadinessChecker(ensemble, checks);
    this.#checks = checks;
    this.election = election;
    this.readiness = readiness;
    this.sessions = new SessionChecker(ensemble, checks, election, readiness);
    this.ownership = new OwnershipChecker(checks);
    this.requests = new RequestChecker(checks, history);
    this.digests = new DigestChecker(ensemble, checks, history, synchronization);
    // In the order in which they are called: digests are compared once the history has what a member applied.
    const checkers: readonly Checker[] = [
      new DiscoveryChecker(ensemble, checks),
      new EpochChecker(checks),
      election,
      synchronization,
      log,
      readiness,
      this.sessions,
      this.requests,
      this.ownership,
      new DeliveryChecker(ensemble, checks, history, election, log, (entry, cursor) =>
        this.#commit(entry, cursor),
      ),
      this.digests,
    ];
    const having = <H extends Hook>(hook: H): With<H>[] =>
      checkers.filter((each): each is With<H> => each[hook] !== undefined);
    this.#started = having("started");
    this.#crashed = having("crashed");
    this.#wiped = having("wiped");
    this.#persisting = having("persisting");
    this.#persisted = having("persisted");
    this.#synced = having("synced");
    this.#saying = having("saying");
    this.#leaving = having("leaving");
    this.#arriving = having("arriving");
    this.#handled = having("handled");
    this.#stepped = having("stepped");
    this.#committed = having("committed");
    this.#checkpointed = having("checkpointed");
  }

  /** The committed history, from the first txn on. */
  get history(): readonly Committed[] {
    return this.#history.entries;
  }

  /** *map rule → how often it was checked* */
  get checks(): ReadonlyMap<Rule, number> {
    return this.#checks.counts;
  }

  /** A check that the run itself makes. @throws Violation */
  must(rule: Rule, holds: boolean, what: () => string): void {
    this.#checks.must(rule, holds, what);
  }

  started(life: LifeView): void {
    for (const each of this.#started) each.started(life);
  }

  crashed(member: MemberView): void {
    for (const each of this.#crashed) each.crashed(member);
  }

  wiped({ sid }: MemberView): void {
    for (const each of this.#wiped) each.wiped(sid);
  }

  persisting(life: LifeView, writes: readonly DurableWrite[]): void {
    for (const each of this.#persisting) each.persisting(life, writes);
  }

  persisted(life: LifeView): void {
    for (const each of this.#persisted) each.persisted(life);
  }

  synced(life: LifeView): void {
    for (const each of this.#synced) each.synced(life);
  }

  saying(life: LifeView, to: Sid | null, message: PeerMessage): void {
    for (const each of this.#saying) each.saying(life, to, message);
  }

  leaving(life: LifeView, to: Sid, message: PeerMessage): void {
    for (const each of this.#leaving) each.leaving(life, to, message);
  }

  arriving(from: LifeView, to: LifeView, message: PeerMessage, isReturn: boolean): void {
    for (const each of this.#arriving) each.arriving(from, to, message, isReturn);
  }

  handled(from: LifeView, to: LifeView, message: PeerMessage): void {
    for (const each of this.#handled) each.handled(from, to, message);
  }

  stepped(life: LifeView): void {
    for (const each of this.#stepped) each.stepped(life);
  }

  checkpointed(life: LifeView, base: Zxid): void {
    for (const each of this.#checkpointed) each.checkpointed(life, base);
  }

  #commit(entry: Committed, cursor: TxnCursor): void {
    for (const each of this.#committed) each.committed(entry, cursor);
  }
}
