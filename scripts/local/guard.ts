/** Ends processes when we are killed: a `kill -9` gives us no chance to do it ourselves. */
import { type ChildProcess, spawn } from "node:child_process";

/**
 * Starts a shell whose input ends with us, and which then sends the signal. It is out of our process group, so that what ends the
 * group does not end it first. Kill it when the process is gone, before its id can mean another one.
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
  shell.once("error", () => {}); // no shell, no guard
  shell.unref();
  return shell;
}
