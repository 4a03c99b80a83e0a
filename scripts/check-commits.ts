/**
 * `npm run check:commits`: the subjects of all commits since this check exists, or since a commit that is named.
 * `node scripts/check-commits.ts --message FILE` is the commit-msg hook (`npm run hooks`).
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./local/build.ts";
import { main, readOptions } from "./local/command.ts";
import { subjectFault } from "./local/commit-subject.ts";

const HELP = `usage: npm run check:commits -- [options]

Checks the subject of each commit from the base (left out) to HEAD.

  --base REV       the base; otherwise the commit that added this check
  --message FILE   check the message in this file instead
  --help           print this`;

/** Subjects that git writes itself: merges, and commits that `git rebase --autosquash` removes. */
const NOT_KEPT = /^(?:Merge |fixup! |squash! |amend! )/;

/** Subjects of the history that are older than the list of verbs, and that it does not admit. */
const OLDER: ReadonlySet<string> = new Set(["test(sim): full disks, foundings, crossing returns"]);

const git = (...args: string[]): string =>
  execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

/** The commit that added this file; empty if there is none. Rebasing changes its id, so the id is not stored. */
function firstChecked(): string {
  const added = git("log", "--diff-filter=A", "--format=%H", "--", "scripts/check-commits.ts");
  return added.split("\n").at(-1) ?? "";
}

function checkMessage(file: string): void {
  const [subject = ""] = readFileSync(file, "utf8").split("\n");
  if (NOT_KEPT.test(subject)) return;
  const fault = subjectFault(subject);
  if (fault !== undefined) throw new Error(`[TIDY-8] ${fault}: ${subject}`);
}

function checkHistory(base: string | undefined): void {
  if (!existsSync(join(ROOT, ".git"))) {
    process.stdout.write("commits: not a git checkout, nothing to check\n");
    return;
  }
  const from = base ?? firstChecked();
  if (from === "") throw new Error("no base: the commit that added this check is not in the history");
  const log = git("log", "--no-merges", "--format=%h %s", `${from}..HEAD`);
  const commits = log === "" ? [] : log.split("\n");
  let faults = 0;
  for (const commit of commits) {
    const [id = ""] = commit.split(" ", 1);
    const subject = commit.slice(id.length + 1);
    const fault = OLDER.has(subject) ? undefined : subjectFault(subject);
    if (fault === undefined) continue;
    faults++;
    process.stdout.write(`✗ [TIDY-8] ${id} ${subject}\n  ${fault}\n`);
  }
  process.stdout.write(
    `commits: ${commits.length - faults} of ${commits.length} since ${from.slice(0, 12)} in form\n`,
  );
  if (faults > 0) process.exitCode = 1;
}

const check = async (): Promise<void> => {
  const { values } = readOptions({ options: { base: { type: "string" }, message: { type: "string" } } });
  if (values.message !== undefined) checkMessage(values.message);
  else checkHistory(values.base);
};

await main("check-commits", check, HELP);
