/** Members that lose their memory, or find it damaged or old, and the conditions of their restarts. */
import type { Cluster } from "../cluster.ts";
import type { DamageKind } from "../disk.ts";
import type { MemoryBackend } from "../memory-backend.ts";
import type { Chance } from "../random.ts";
import type { FaultKind, SwarmOptions } from "../swarm.ts";
import type { FaultWindow } from "./fault-window.ts";
import { damageTree, type TreeDamageKind } from "./tree-damage.ts";

/** Interval at which it is checked whether a member on an older disk may start. */
const ROLLED_BACK_WAIT_MS = 100;

/**
 * Starts members, and damages their disks. A member that lost its storage, or found it damaged, counts as failed until it
 * has synchronised.
 * Invariant: no more than a minority has failed.
 */
export class MemoryLoss {
  readonly #cluster: Cluster;
  readonly #options: SwarmOptions;
  readonly #chance: Chance;
  readonly #window: FaultWindow;
  readonly #count: (kind: FaultKind) => void;
  /** members without memory, until they have synchronised */
  readonly #forgetful = new Set<number>();
  /** members on an older copy of their disk: *map sid → the last epoch that they promised before, and may have forgotten* */
  readonly #behind = new Map<number, number>();
  /** *map sid → an older copy of its disk* */
  readonly #copies = new Map<number, MemoryBackend>();

  /** @param count receives a fault that is carried out later */
  constructor(
    cluster: Cluster,
    options: SwarmOptions,
    chance: Chance,
    window: FaultWindow,
    count: (kind: FaultKind) => void,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#chance = chance;
    this.#window = window;
    this.#count = count;
  }

  // ── starts ───────────────────────────────────────────────────────────────

  #restart(sid: number): void {
    const { life, twin } = this.#cluster.member(sid);
    if (life === null || twin !== null) return;
    this.#cluster.crash(sid, 1_000);
    this.start(sid);
  }

  restartLater(sid: number): void {
    this.#window.after(this.#chance.oneOf([0, 50, 1_000, 5_000, 15_000]), () => {
      if (this.#cluster.member(sid).life === null) this.start(sid);
    });
  }

  /** A member on an older copy of its disk starts under the condition of docs/divergence.md. */
  start(sid: number): void {
    const cluster = this.#cluster;
    if (this.#mayStart(sid)) {
      if (this.#passesForItsLastLife(sid)) cluster.disks.wipe(sid);
      cluster.start(sid);
      return;
    }
    cluster.after(ROLLED_BACK_WAIT_MS, () => {
      if (cluster.member(sid).life === null) this.start(sid);
    });
  }

  /**
   * Whether a member on an older copy would start with the number of a life that its peers know, because it started and
   * ended before a peer could inform it. The peers cannot distinguish the two, so it has to be wiped; see
   * docs/divergence.md.
   */
  #passesForItsLastLife(sid: number): boolean {
    if (!this.#behind.has(sid)) return false;
    const { disk } = this.#cluster.member(sid);
    const { boot, initialized } = disk.readMeta();
    const known = this.#cluster.members.map((each) => each.disk.readMeta().peerBoots[sid - 1] ?? 0);
    return initialized && boot + 1 >= Math.max(...known);
  }

  /** Whether a leader of the latest epoch runs with a quorum of others, which know what this member has forgotten. */
  #mayStart(sid: number): boolean {
    if (this.#forgetting === 0) return true;
    const promised = this.#behind.get(sid);
    if (promised === undefined) return true;
    const cluster = this.#cluster;
    const leading = cluster.leader?.zab;
    const active = leading?.proposing?.activeSet.filter((each) => each !== sid) ?? [];
    if (leading === undefined || active.length <= this.#options.size / 2) return false;
    const epochs = cluster.members.map(({ disk }) => disk.readMeta().acceptedEpoch);
    return leading.currentEpoch >= Math.max(promised, ...epochs);
  }

  // ── losses ───────────────────────────────────────────────────────────────

  /** Number of members that have forgotten promises. */
  get #forgetting(): number {
    for (const sid of this.#forgetful) {
      const { life } = this.#cluster.member(sid);
      if (life?.server.ready === true && life.storage.meta.initialized && life.disk.pending === 0) {
        this.#forgetful.delete(sid);
        this.#behind.delete(sid);
      }
    }
    return this.#forgetful.size;
  }

  /** Makes a member forget by a fault of its disk. */
  lose(sid: number, how: () => void, forgets = true): boolean {
    const cluster = this.#cluster;
    const { size } = this.#options;
    // Members that forgot and members with a wrong tree must together be a minority: neither helps the others.
    const failed = new Set<number>(cluster.invariants.digests.damagedTrees);
    if (this.#forgetting > 0) for (const each of this.#forgetful) failed.add(each);
    // A member that was left out of the founding has no more than one that forgot it. Its epoch tells, not what it believes.
    for (const { sid: each, disk } of cluster.members) {
      if (disk.readMeta().currentEpoch === 0) failed.add(each);
    }
    const room = failed.add(sid).size;
    // A leader whose tree is wrong waits for members that lag, which cannot tell before they have caught up: beside others
    // that have forgotten everything too few may be left. See docs/testing.md, Open.
    if (room > 1 && (!forgets || cluster.invariants.digests.damagedTrees.size > 0)) return false;
    // Before the first commit there is nothing to forget, and a founding must not begin twice.
    if (room > (size - 1) / 2 || cluster.invariants.history.length === 0) return false;
    const member = cluster.member(sid);
    if (member.twin !== null) return false;
    if (member.life !== null) cluster.crash(sid, this.#chance.below(3));
    if (forgets) this.#forgetful.add(sid);
    how();
    this.restartLater(sid);
    return true;
  }

  rollBack(sid: number): boolean {
    const cluster = this.#cluster;
    const copy = this.#copies.get(sid);
    if (copy === undefined) {
      // Damage that comes back later would not be that of a minority.
      if (cluster.invariants.digests.damagedTrees.has(sid)) return false;
      this.#copies.set(sid, cluster.member(sid).disk.durableCopy());
      // The others see lives that the rollback then undoes.
      for (const ms of [1_000, 3_000]) this.#window.after(ms, () => this.#restart(sid));
      this.#window.after(this.#chance.between(5_000, 20_000), () => {
        if (this.rollBack(sid)) this.#count("rollback");
      });
    }
    // A member rolled back by a single life shows the same number again, and cannot be recognised.
    const isSeen = copy !== undefined && copy.readMeta().boot + 1 < cluster.member(sid).disk.readMeta().boot;
    if (copy === undefined || !isSeen || cluster.leader === undefined) return false;
    return this.lose(sid, () => {
      this.#copies.delete(sid);
      const { acceptedEpoch } = cluster.member(sid).disk.readMeta();
      this.#behind.set(sid, Math.max(acceptedEpoch, this.#behind.get(sid) ?? 0));
      cluster.disks.rollBack(sid, copy);
    });
  }

  damage(sid: number, kind: DamageKind): boolean {
    const cluster = this.#cluster;
    let damaged = false;
    const struck = this.lose(sid, () => {
      damaged = cluster.disks.damage(sid, kind, (n) => this.#chance.below(n));
    });
    return struck && damaged;
  }

  /** Damages the tree of a member. The others repair any other damage that it may have. */
  damageTree(sid: number, kind: TreeDamageKind): boolean {
    const cluster = this.#cluster;
    if (cluster.invariants.digests.damagedTrees.has(sid)) return false;
    let damaged = false;
    const struck = this.lose(
      sid,
      () => {
        damaged = damageTree(cluster, sid, kind, (n) => this.#chance.below(n));
      },
      false,
    );
    return struck && damaged;
  }
}
