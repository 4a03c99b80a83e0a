/** Ends child processes if this process is killed: after `kill -9` it cannot do so itself. */
import { type ChildProcess, spawn } from "node:child_process";

/**
 * Starts a shell whose input ends with this process, and which then sends the signal. It is outside the process
 * group, so that a signal to the group does not end it first. Kill it when the child is gone, before its id can
 * belong to another process.
 */
export function guard(pid: number, signal: "KILL" | "TERM"): ChildProcess {
  const shell = spawn(
    "/bin/sh",
    ["-c", 'read -r _; kill -s "$1" "$2"', "zooweeper-guard", signal, String(pid)],
    {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    },
  );
  shell.once("error", () => {}); // without a shell there is no guard
  shell.unref();
  return shell;
}
