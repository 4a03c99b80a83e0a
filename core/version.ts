/**
 * Versions of what members say to each other and store. A deploy restarts the members one after the other, so two versions
 * talk for seconds to minutes, and a deploy may be taken back. Every call and its return carry the version of the member
 * that made them; a member says none before version 2.
 *
 * To add a txn type, a format or a message (docs/protocol.md, "Adding a txn type or a message"):
 * 1. Make this version read it, raise {@link PROTOCOL_VERSION}, and name the feature in {@link FEATURES}.
 * 2. Use it only where all members, or the one that receives it, report a version that knows it.
 * 3. What is stored gets the number of the NEXT version: a deploy that is taken back must be able to read it.
 */

/** The version of this code. */
export const PROTOCOL_VERSION = 2;

/** The version of a member that says none. */
export const FIRST_VERSION = 1;

/** *map feature → the first version that uses it*; every version from the one before on reads it */
export const FEATURES = {
  /** a SNAPCHUNK of format 2: sessions carry the fingerprint of their last request */
  snapFingerprints: 2,
  /** a txn record of format 1: it carries the fingerprint of its request. It is stored, and version 2 only reads it */
  recordFingerprints: 3,
} as const satisfies Readonly<Record<string, number>>;

/** A feature that depends on the version of members. */
export type Feature = keyof typeof FEATURES;

/** May a member of this version be given what the feature adds? @param version 0: not known */
export const knows = (version: number, feature: Feature): boolean => version >= FEATURES[feature];
