/**
 * Versions of messages between members and of stored formats. A deploy restarts the members one after the other, so two
 * versions run together for seconds to minutes, and a deploy may be rolled back. Every call and its return carry the
 * sender's version; members before version 2 send none.
 *
 * To add a txn type, a format or a message (docs/protocol.md, "Adding a txn type or a message"):
 * 1. Make this version read it, raise {@link PROTOCOL_VERSION}, and name the feature in {@link FEATURES}.
 * 2. Use it only if all members, or the receiving member, report a version that knows it.
 * 3. A stored format gets the number of the NEXT version, because the previous version must be able to read it after a rollback.
 */

/** The version of this code. */
export const PROTOCOL_VERSION = 3;

/** The version of a member that sends none. */
export const FIRST_VERSION = 1;

/** *map feature → the first version that uses it*; every version from the one before on reads it */
export const FEATURES = {
  /** a SNAPCHUNK of format 2: sessions carry the fingerprint of their last request */
  snapFingerprints: 2,
  /** a txn record of format 1: it carries the fingerprint of its request. It is stored, and version 2 only reads it */
  recordFingerprints: 3,
  /** LEADERACK in the return of a REQUEST */
  leaderAcks: 3,
} as const satisfies Readonly<Record<string, number>>;

/** A feature that depends on the version of members. */
export type Feature = keyof typeof FEATURES;

/** Whether a member of this version supports the feature. @param version 0 if unknown */
export const knows = (version: number, feature: Feature): boolean => version >= FEATURES[feature];
