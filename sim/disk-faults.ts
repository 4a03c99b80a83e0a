/** Faults of the disks of members: lost, rolled back, damaged, full. */
import { assert, must } from "../core/assert.ts";
import type { Invariants } from "./checkers/invariants.ts";
import { type DamageKind, SimDisk } from "./disk.ts";
import type { Member } from "./member/member.ts";
import type { MemoryBackend, StoredState } from "./memory-backend.ts";

/** Invariant: only the disk of a member that is down is changed; one that is up may run out of space. */
export class DiskFaults {
  readonly #members: readonly Member[];
  readonly #invariants: Invariants;
  readonly #onLine: (line: string) => void;

  /** @param onLine called with a readable line per event */
  constructor(members: readonly Member[], invariants: Invariants, onLine: (line: string) => void) {
    this.#members = members;
    this.#invariants = invariants;
    this.#onLine = onLine;
  }

  #member(sid: number): Member {
    return must(this.#members[sid - 1], `there is no member ${sid}`);
  }

  #down(sid: number): Member {
    const member = this.#member(sid);
    assert(member.life === null, "only the storage of a member that is down is changed");
    return member;
  }

  /** Deletes the storage of a member that is down. */
  wipe(sid: number): void {
    const member = this.#down(sid);
    this.#onLine(`${sid} loses its storage`);
    member.disk = new SimDisk();
    this.#invariants.wiped(member);
  }

  /** Rolls the storage of a member that is down back to an older copy. */
  rollBack(sid: number, copy: MemoryBackend): void {
    const member = this.#down(sid);
    this.#onLine(`${sid} is rolled back to an older storage`);
    member.disk.restore(copy);
    this.#invariants.wiped(member);
  }

  /** Damages a row of the log of a member that is down. @returns whether there was one */
  damage(sid: number, kind: DamageKind, pick: (n: number) => number): boolean {
    const member = this.#down(sid);
    const damaged = member.disk.damage(kind, pick);
    this.#onLine(`${sid} has a log with a ${kind}: ${damaged}`);
    // What it does not have any more it may forget.
    if (damaged) this.#invariants.wiped(member);
    return damaged;
  }

  /** Changes the storage of a member that is down. */
  tamper(sid: number, change: (state: StoredState) => void): void {
    const member = this.#down(sid);
    this.#onLine(`${sid} has a damaged storage`);
    member.disk.tamper(change);
    // What it does not have any more it may forget.
    this.#invariants.wiped(member);
  }

  /** Limits the disk of a member to this many further writes, until {@link free}. */
  fill(sid: number, writesLeft: number): void {
    const { disk } = this.#member(sid);
    this.#onLine(`${sid} has room for ${writesLeft} writes`);
    disk.full = true;
    disk.writesLeft = writesLeft;
  }

  free(sid: number): void {
    const { disk } = this.#member(sid);
    disk.full = false;
    disk.writesLeft = Number.POSITIVE_INFINITY;
  }
}
