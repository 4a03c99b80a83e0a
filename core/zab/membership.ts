/** The members of an ensemble. */
import { assert } from "../assert.ts";

declare const sidBrand: unique symbol;
/** Server id of a member: 1 ≤ sid ≤ {@link SID_MAX}, an integer. */
export type Sid = number & { readonly [sidBrand]: true };

/** The highest server id, as in ZooKeeper. */
const SID_MAX = 255;

/** Brands a number as a server id. The caller has checked its range. */
export const asSid = (value: number): Sid => value as Sid;

/**
 * The members of an ensemble. A value: a reconfiguration replaces it by another one with the next version.
 * Invariant: sids are ascending and unique, no participant is an observer, and there is a participant.
 *
 * @source ZooKeeper QuorumVerifier (version, votingMembers, observingMembers)
 */
export interface Membership {
  /** version of the configuration, ascending; 0 for the one at the founding */
  readonly version: number;
  /** members that vote and count in quorums */
  readonly participants: readonly Sid[];
  /** members that receive committed txns and count in no quorum */
  readonly observers: readonly Sid[];
}

/** Makes a membership. @throws AssertionError when it breaks the invariant of {@link Membership} */
export function makeMembership(
  version: number,
  participants: Iterable<Sid>,
  observers: Iterable<Sid> = [],
): Membership {
  const ascending = (sids: Iterable<Sid>): Sid[] => [...sids].sort((a, b) => a - b);
  const made = { version, participants: ascending(participants), observers: ascending(observers) };
  const all = [...made.participants, ...made.observers];
  assert(Number.isSafeInteger(version) && version >= 0, "the version of a membership is a whole number");
  assert(made.participants.length > 0, "an ensemble has at least one participant");
  assert(new Set(all).size === all.length, "the sids of an ensemble's members are unique");
  for (const sid of all)
    assert(Number.isInteger(sid) && sid >= 1 && sid <= SID_MAX, `a sid is 1 to ${SID_MAX}, not ${sid}`);
  return made;
}

/** The largest ensemble that may be founded: each vote and each proposal goes to all members. */
const FOUNDING_SIZE_MAX = 9;

/** Whether an ensemble of this size may be founded. Odd sizes only: one member more would tolerate no more failures. */
export const isFoundingSize = (size: number): boolean =>
  Number.isInteger(size) && size >= 1 && size <= FOUNDING_SIZE_MAX && size % 2 === 1;

/** The membership of a new ensemble: participants 1 … size. @throws AssertionError unless {@link isFoundingSize} */
export function foundingMembership(size: number): Membership {
  assert(isFoundingSize(size), `an ensemble is founded with 1, 3, 5, 7 or 9 members, not ${size}`);
  return makeMembership(
    0,
    Array.from({ length: size }, (_, i) => asSid(i + 1)),
  );
}
