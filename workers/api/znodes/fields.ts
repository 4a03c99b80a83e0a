/** Fields that several requests share. */
import * as v from "valibot";

/** Versions are ZooKeeper's signed 32-bit numbers: after the largest comes the smallest. */
export const VERSION_MAX = 2 ** 31 - 1;
export const VERSION_MIN = -(2 ** 31);
/** No znode has this version; as a condition it is none. */
export const ANY_VERSION = -1;

export const versionField = v.pipe(v.number(), v.integer(), v.minValue(VERSION_MIN), v.maxValue(VERSION_MAX));

/** Paths are checked by the tree's own rules, not here. */
export const pathField = v.pipe(v.string(), v.maxLength(16_384));

/** Names of the create modes in requests. */
export const MODES = [
  "persistent",
  "ephemeral",
  "sequential",
  "persistent-sequential",
  "ephemeral-sequential",
] as const;
export type ModeName = (typeof MODES)[number];
export const modeField = v.picklist(MODES);
