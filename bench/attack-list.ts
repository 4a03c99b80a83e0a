/** Shared by the attackers of (e) and their parent process. */

/** The attacks, in the order of the table. */
export const ATTACKS = [
  "reads",
  "stopped-reader",
  "lists",
  "half-open",
  "watchers",
  "unread-watches",
  "unread-events",
  "unread-records",
  "unread-live",
] as const;
/** Name of an attack. */
export type Attack = (typeof ATTACKS)[number];

/** Messages of an attacker to its parent. */
export type AttackerMessage = "ready" | { readonly seen: string };

/** the znode that the lone writer changes */
export const WRITTEN = "/attack-written";
