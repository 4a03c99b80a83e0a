/** Bugs of sessions and of the time by which they expire: deadlines, alarms, clocks. */
import { ALARM, CLOCK, CLOSE_SESSION, SERVER, SESSION, SESSIONS } from "../sources.ts";
import type { SeededBug } from "./bug.ts";

/** Bugs of sessions. */
export const SESSION_BUGS: readonly SeededBug[] = [
  {
    name: "session-expires-early",
    what: "a heartbeat of a session does not extend its deadline",
    source: "reliability, T15",
    patches: [
      {
        file: SESSION,
        find: "    if (atMs <= deadline.atMs) return;\n",
        replace: "    if (atMs >= 0) return;\n",
      },
    ],
  },
  {
    name: "ephemerals-outlive-session",
    what: "a session that ends does not delete its ephemerals",
    source: "ZOOKEEPER-2355, 4837",
    patches: [
      {
        file: CLOSE_SESSION,
        find: "    for (const path of [...state.ephemeralsOf(session.id)].sort()) deleteZnode(state, header, path);\n",
        replace: "",
      },
    ],
  },
  {
    name: "alarm-counts-as-time",
    what: "an early, late or repeated alarm counts: sessions expire by the number of alarms",
    source: "reliability, T20: double alarm",
    patches: [
      {
        file: SERVER,
        find: "this.#sessions.expiry.expire(now)",
        replace: "this.#sessions.expiry.expire(now + 20 * this.config.tickTimeMs)",
      },
    ],
  },
  {
    name: "overdue-alarm-trusted",
    what: "an alarm that is long overdue counts as set: a lost alarm is never set again",
    source: "use, on the real runtime: the scheduler had lost its list",
    rare: true,
    patches: [
      {
        file: ALARM,
        find: "return this.#armedAt === undefined || now - this.#armedAt > this.#tickMs;",
        replace: "return this.#armedAt === undefined;",
      },
    ],
  },
  {
    name: "alarm-never-earlier",
    what: "an alarm is not set earlier when a deadline moves before it",
    source: "a mutant of the shell that every lane let pass",
    patches: [
      {
        file: ALARM,
        find: "if (this.#armedAt !== undefined && this.#armedAt <= at && ",
        replace: "if (this.#armedAt !== undefined && ",
      },
    ],
  },
  {
    name: "clock-jump-is-silence",
    what: "a leader whose clock was set forward expires sessions that keep their pings",
    source: "use: a clock skewed by fault on one node",
    patches: [
      {
        file: SESSIONS,
        find: "    if (passedMs > 2 * this.#config.tickTimeMs) this.expiry.excuseAll(now, passedMs);\n",
        replace: "",
      },
    ],
  },
  {
    name: "small-jump-is-silence",
    what: "only a clock that was set forward by minutes is detected: one set by seconds counts as silence",
    source: "the same; a session of 10 s expires after 1.6 s",
    patches: [
      {
        file: SESSIONS,
        find: "if (passedMs > 2 * this.#config.tickTimeMs)",
        replace: "if (passedMs > 60 * this.#config.tickTimeMs)",
      },
    ],
  },
  {
    name: "clock-back-believed",
    what: "a clock that was set back is trusted: everything that waits for a time waits for that much longer",
    source: "a mutant of the core that every lane let pass",
    rare: true,
    patches: [
      {
        file: CLOCK,
        find: "    if (clockMs + this.#aheadMs < this.#now) this.#aheadMs = this.#now - clockMs;\n",
        replace: "",
      },
    ],
  },
];
