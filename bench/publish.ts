/** The files of a benchmark's results, in bench/results. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../scripts/local/build.ts";

const FOLDER = join(ROOT, "bench/results");

/** Today, as in the names of the files. */
export const today = (): string => new Date().toISOString().slice(0, 10);

/** Name of the files of a benchmark: KIND-DATE, with a suffix if one is given. */
export const datedName = (kind: string, suffix: string | undefined): string =>
  `${kind}-${today()}${suffix === undefined ? "" : `-${suffix}`}`;

/** Writes one file for each ending. @param files *map ending → content* @returns how to find them, as a sentence */
export function publish(name: string, files: Readonly<Record<string, string>>): string {
  mkdirSync(FOLDER, { recursive: true });
  const paths = Object.entries(files).map(([ending, content]) => {
    const path = join(FOLDER, `${name}.${ending}`);
    writeFileSync(path, content);
    return path;
  });
  return `written to ${paths.join(", ")}`;
}
