/**
 * The private fields of the core, as the search reads them. It normalises fields with times, because states that differ
 * only in times are equal.
 */
import { must } from "../../../core/assert.ts";
import type { Learners } from "../../../core/zab/learners.ts";
import type { ZabPeer } from "../../../core/zab/peer.ts";
import type { Roles } from "../../../core/zab/roles.ts";
import type { Live } from "./live.ts";

/** An object whose private fields `open-core.ts` has opened. */
type Opened<T> = T & Record<string, unknown>;
/** The private fields of an object of the core. */
export const opened = <T extends object>(object: T): Opened<T> => object as Opened<T>;

/** The time of the members' clock, which never advances by itself. */
export const NOW = 0;
export const DECIDE_AT = 1;
export const RESEND_AT = 10;
export const GIVE_UP_AT = 100;
export const LONG_AGO = -1_000;

/** Resets fields with times, and counters that only grow, as if the clock had never moved. */
export function normalize(live: Live): void {
  const peer = opened(live.peer);
  const roles = rolesOf(live.peer);
  const step = opened(roles.step);
  const looking = opened(roles.looking);
  const done = step._durableSeq as number;
  step.now = NOW;
  step._durableSeq = 0;
  step._persistSeq = (step._persistSeq as number) - done;
  peer._steppedAt = NOW;
  opened(peer._dispatch as object)._accepted = false;
  if (roles.lastSeq !== null) opened(roles)._lastSeq = roles.lastSeq - done;
  looking._resendAt = RESEND_AT;
  looking._resendPauseMs = RESEND_AT;
  if (looking._decideAt !== Number.POSITIVE_INFINITY) looking._decideAt = DECIDE_AT;
  looking._elections = 0;
  looking._failures = 0;
  looking._leadFrom = 0;
  opened(roles.links)._nextPingAt = Number.POSITIVE_INFINITY;
  for (const link of roles.links.all.values()) Object.assign(link, { heardAt: null, rttMs: null, inSeq: 0 });
  for (const waiting of opened(roles.history)._persisting as { seq: number }[]) waiting.seq -= done;
  for (const group of live.pending) group.seq -= done;
  if (roles.leading !== null) {
    const leader = opened(roles.leading);
    leader._resendAt = RESEND_AT;
    const quorumCheck = opened(leader._quorumCheck as object);
    quorumCheck._establishDeadline = GIVE_UP_AT;
    quorumCheck._aloneDeadline = GIVE_UP_AT;
    quorumCheck._quorumAt = NOW;
    const own = leader._ownEpochSeq as number | null;
    if (own !== null) leader._ownEpochSeq = Math.max(0, own - done);
    for (const learner of learnersOf(live.peer).all()) opened(learner)._heardAt = NOW;
  }
  if (roles.following !== null) {
    const follower = opened(roles.following);
    follower._joinDeadline = GIVE_UP_AT;
    follower._heardAt = NOW;
  }
}

/** The roles of a peer. */
export const rolesOf = (peer: ZabPeer): Roles => opened(peer)._roles as Roles;

/** The learners of a leading peer. */
export const learnersOf = (peer: ZabPeer): Learners =>
  opened(must(rolesOf(peer).leading, "it leads"))._learners as Learners;

/** Sid of the member with this index. */
