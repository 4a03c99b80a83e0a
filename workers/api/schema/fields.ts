/** Fields that several requests share. */
import * as v from "valibot";

/** Versions are ZooKeeper's signed 32-bit numbers; −1 means any. */
export const VERSION_MAX = 2 ** 31 - 1;

export const versionField = v.pipe(v.number(), v.integer(), v.minValue(-1), v.maxValue(VERSION_MAX));

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
