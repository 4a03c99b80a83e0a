/** Fields that several requests share. */
import * as v from "valibot";

/** Versions are ZooKeeper's signed 32-bit numbers: after the largest comes the smallest. */
export const VERSION_MAX = 2 ** 31 - 1;
/** The smallest version. */
export const VERSION_MIN = -(2 ** 31);
/** Matches any version; no znode has this one. */
export const ANY_VERSION = -1;

/** A version in JSON. */
export const versionField = v.pipe(v.number(), v.integer(), v.minValue(VERSION_MIN), v.maxValue(VERSION_MAX));

/** A path in JSON. The rules of the tree are checked later. */
export const pathField = v.pipe(v.string(), v.maxLength(16_384));

/** Names of the create modes in requests. */
export const MODES = [
  "persistent",
  "ephemeral",
  "sequential",
  "persistent-sequential",
  "ephemeral-sequential",
] as const;
/** Name of a create mode. */
export type ModeName = (typeof MODES)[number];
/** A create mode in JSON. */
export const modeField = v.picklist(MODES);
