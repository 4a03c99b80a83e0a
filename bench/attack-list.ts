/** What the attacks of (e) and their parent both know. */

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
export type Attack = (typeof ATTACKS)[number];

/** What an attacker tells its parent. */
export type AttackerMessage = "ready" | { readonly seen: string };

/** the znode that the lone writer changes */
export const WRITTEN = "/attack-written";
