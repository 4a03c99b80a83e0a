/** A copy of the repository in which a test violates a guard. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

const IDENTITY = [
  "-c",
  "user.name=guards",
  "-c",
  "user.email=guards@localhost",
  "-c",
  "core.hooksPath=/dev/null",
];

/** What a command printed, and how it ended. */
export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

export class Scratch {
  readonly #root = mkdtempSync(join(tmpdir(), "guards-"));

  /** Copies what git knows or would add, and commits it. */
  constructor() {
    const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    for (const file of files.split("\0")) {
      if (file === "") continue;
      mkdirSync(dirname(join(this.#root, file)), { recursive: true });
      cpSync(join(ROOT, file), join(this.#root, file));
    }
    symlinkSync(join(ROOT, "node_modules"), join(this.#root, "node_modules"));
    this.#git("init", "--quiet");
    this.#git("add", "--all");
    this.#git("commit", "--quiet", "--message", "chore(guards): copy the repository");
    this.#git("tag", "copied");
  }

  #git(...args: string[]): void {
    execFileSync("git", [...IDENTITY, ...args], { cwd: this.#root, stdio: "pipe" });
  }

  /** Replaces `from`, which must be in the file once, by `to`. */
  replace(file: string, from: string, to: string): void {
    const path = join(this.#root, file);
    const parts = readFileSync(path, "utf8").split(from);
    if (parts.length !== 2)
      throw new Error(`${file} has ${JSON.stringify(from)} ${parts.length - 1} times, not once`);
    writeFileSync(path, parts.join(to));
  }

  /** Adds `text` at the end of the file, or creates it. */
  append(file: string, text: string): void {
    writeFileSync(join(this.#root, file), text, { flag: "a" });
  }

  /** An empty commit. */
  commit(subject: string): void {
    this.#git("commit", "--quiet", "--allow-empty", "--message", subject);
  }

  /** Takes back every change and commit since the copy was made. */
  restore(): void {
    this.#git("reset", "--quiet", "--hard", "copied");
    this.#git("clean", "--quiet", "--force", "-d");
  }

  /** Runs npm with these arguments, as CI does. */
  npm(...args: readonly string[]): Outcome {
    const { status, stdout, stderr } = spawnSync("npm", args, {
      cwd: this.#root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" },
    });
    return { code: status, output: stdout + stderr };
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
