/**
 * The ghost state of a run, which only the search knows, and the rules about it. An entry is a number for a zxid and the
 * hash of the whole history up to it: two members with the same entry have the same history.
 *
 * | rule | in ZooKeeper's TLA+ specification | here |
 * |---|---|---|
 * | SEARCH-1 | Leadership1 | no two members lead one epoch after discovery at the same time |
 * | SEARCH-2 | Leadership2 | over the whole run, no two lives lead one epoch |
 * | SEARCH-3 | PrefixConsistency, Agreement, TotalOrder | every txn that a member delivers continues or repeats the one committed history |
 * | SEARCH-4 | Integrity | a delivered txn was proposed by the leader of its epoch |
 * | SEARCH-5 | Local- and GlobalPrimaryOrder | the committed history is ordered by epoch, and has no gap within one |
 * | SEARCH-6 | PrimaryIntegrity | a leader in broadcast has all txns committed in earlier epochs |
 * | SEARCH-7 | – | a committed txn stays durable at a quorum |
 * | SEARCH-13 | Zab, phase 2 | a member with currentEpoch on disk has the initial history of that epoch on disk |
 * | SEARCH-8 | – | epoch(log end) ≤ currentEpoch ≤ acceptedEpoch, in memory and on disk |
 * | SEARCH-9 | – | a member delivers only txns that are durable on its own disk |
 * | SEARCH-10 | – | a promise that a member has sent is never missing from its disk |
 * | SEARCH-11 | in-action flags | while no link breaks, a message of the leader always matches the state of its follower; after a break it may answer an earlier FOLLOWERINFO |
 * | SEARCH-12 | ShouldNotBeTriggered | no assertion of the core fails |
 */
import { type Entry, type Facts, type Outcome, Phase, Role } from "./step.ts";
import type { Interner } from "./tables.ts";

/** State of a run that no member knows. */
export interface Ghost {
  /** *map epoch → its leader*: "sid/boot" */
  readonly leaders: Readonly<Record<number, string>>;
  /** *map epoch → the last entry of the history with which it began* */
  readonly begun: Readonly<Record<number, number>>;
  /** the history that some member delivered, beginning with the empty one */
  readonly committed: readonly number[];
}

/** Text that is equal for equal states. */
export const ghostKey = ({ leaders, begun, committed }: Ghost): string =>
  `${Object.entries(leaders).join(" ")}|${Object.values(begun).join(" ")}|${committed.join(" ")}`;

/** Adds the outcome of a step to the ghost state. @returns the violated rule, or the new ghost state */
export function advance(
  ghost: Ghost,
  facts: Facts,
  outcome: Outcome,
  entries: Interner<Entry>,
  linksHold: boolean,
): Ghost | { readonly broken: string } {
  if (outcome.failure !== undefined) return { broken: `[SEARCH-12] ${facts.sid}: ${outcome.failure}` };
  if (linksHold && outcome.reasons.includes("the leader's messages do not fit together")) {
    return { broken: `[SEARCH-11] ${facts.sid} cannot make sense of its leader` };
  }
  let { leaders, begun, committed } = ghost;
  if (outcome.leads > 0) {
    const who = `${facts.sid}/${facts.boot}`;
    const known = leaders[outcome.leads] ?? who;
    if (known !== who) return { broken: `[SEARCH-2] ${who} and ${known} lead epoch ${outcome.leads}` };
    if (leaders[outcome.leads] === undefined) {
      leaders = { ...leaders, [outcome.leads]: who };
      begun = { ...begun, [outcome.leads]: facts.log.at(-1) as number };
    }
  }
  if (outcome.loaded >= 0 && !committed.includes(outcome.loaded)) {
    return { broken: `[SEARCH-3] ${facts.sid} takes a tree that is not of the committed history` };
  }
  for (const id of outcome.delivered) {
    if (committed.includes(id)) continue;
    const entry = entries.at(id);
    const last = entries.at(committed.at(-1) as number);
    const text = `${facts.sid} delivers ${entry.epoch}.${entry.counter}`;
    if (leaders[entry.epoch]?.split("/")[0] !== String(entry.sid)) {
      return { broken: `[SEARCH-4] ${text}, which the leader of its epoch did not propose` };
    }
    const follows =
      entry.epoch === last.epoch
        ? entry.counter === last.counter + 1
        : entry.epoch > last.epoch && entry.counter === 1;
    if (!follows)
      return { broken: `[SEARCH-3] ${text} where others have delivered ${last.epoch}.${last.counter}` };
    committed = [...committed, id];
  }
  return leaders === ghost.leaders && committed === ghost.committed ? ghost : { leaders, begun, committed };
}

/** How much of the committed history a log contains. Entries below its base are in the tree. */
function holds(log: readonly number[], committed: readonly number[]): number {
  for (let count = committed.length; count > 0; count--)
    if (log.includes(committed[count - 1] as number)) return count;
  return 0;
}

/** Whether the log contains this entry, or has it below its base. */
const reaches = (log: readonly number[], entry: number, committed: readonly number[]): boolean =>
  log.includes(entry) || (committed.includes(entry) && holds(log, committed) > committed.indexOf(entry));

/** The rule that a state violates, if any. @param majority size of a majority of the ensemble */
export function check(
  members: readonly Facts[],
  { committed, begun }: Ghost,
  majority: number,
  entries: Interner<Entry>,
): string | undefined {
  let durable = 0;
  for (const facts of members) {
    const { sid, log } = facts;
    if (holds(facts.durableLog, committed) === committed.length) durable += 1;
    const end = entries.at(log.at(-1) as number).epoch;
    const durableEnd = entries.at(facts.durableLog.at(-1) as number).epoch;
    if (
      end > facts.currentEpoch ||
      facts.currentEpoch > facts.acceptedEpoch ||
      durableEnd > facts.durableCurrentEpoch ||
      facts.durableCurrentEpoch > facts.durableAcceptedEpoch
    ) {
      return `[SEARCH-8] ${sid}: log ends in epoch ${end}, current ${facts.currentEpoch}, accepted ${facts.acceptedEpoch}`;
    }
    const first = begun[facts.durableCurrentEpoch];
    if (first !== undefined && !reaches(facts.durableLog, first, committed)) {
      return `[SEARCH-13] ${sid} is in epoch ${facts.durableCurrentEpoch} on disk, and lacks what that began with`;
    }
    if (!facts.durableLog.includes(facts.delivered))
      return `[SEARCH-9] ${sid} delivers what its disk may lose`;
    if (
      facts.durableAcceptedEpoch < facts.toldAcceptedEpoch ||
      facts.durableCurrentEpoch < facts.toldCurrentEpoch
    ) {
      return `[SEARCH-10] ${sid} promised what its disk may lose`;
    }
    if (facts.role !== Role.LEADING || facts.phase < Phase.SYNCHRONIZATION) continue;
    for (const other of members) {
      const leads = other.role === Role.LEADING && other.phase >= Phase.SYNCHRONIZATION;
      if (other.sid > sid && leads && other.currentEpoch === facts.currentEpoch) {
        return `[SEARCH-1] ${sid} and ${other.sid} lead epoch ${facts.currentEpoch}`;
      }
    }
    if (facts.phase !== Phase.BROADCAST) continue;
    const earlier = committed.filter((id) => entries.at(id).epoch < facts.currentEpoch);
    if (holds(log, committed) < earlier.length)
      return `[SEARCH-6] ${sid} leads without all that was committed before`;
  }
  return durable >= majority
    ? undefined
    : `[SEARCH-7] only ${durable} members have ${committed.length - 1} committed txns on disk`;
}
