/** The channel over which the tabs of one browser share the answers of a poll. */
import type { TabChannel } from "./poll.ts";

/** @returns undefined where the browser has no `BroadcastChannel`: each tab then polls for itself */
export const tabChannel = (base: string, name: string): TabChannel | undefined =>
  typeof BroadcastChannel === "undefined"
    ? undefined
    : (new BroadcastChannel(`zooweeper ${base} ${name}`) as TabChannel);
