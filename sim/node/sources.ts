/** The sources that patches change. A file that moves is renamed here, and nowhere else. */

export const CLOCK = "core/server/member-clock.ts";
export const QUIET = "core/server/quiet.ts";
export const RESULTS = "core/server/recent-results.ts";
export const REPLIES = "core/server/reply-cache.ts";
export const SERVER = "core/server/server.ts";
export const SESSIONS = "core/server/session-tracker.ts";
export const STORAGE = "core/server/storage.ts";
export const CONTEXT = "core/zab/context.ts";
export const DIGESTS = "core/zab/digests.ts";
export const ELECTION = "core/zab/election.ts";
export const FOLLOWER = "core/zab/follower.ts";
export const LEADER = "core/zab/leader.ts";
export const PEER = "core/zab/peer.ts";
export const QUORUM_VERIFIER = "core/zab/quorum-verifier.ts";
export const SYNCHRONIZATION = "core/zab/synchronization.ts";
export const LOG = "core/zab/txn-log.ts";
export const PAGES = "core/znode/children-page.ts";
export const OVERLAY = "core/znode/overlay.ts";
export const PREP = "core/znode/prep.ts";
export const SESSION = "core/znode/session.ts";
export const TREE = "core/znode/tree.ts";
export const STREAM = "core/znode/watch-stream.ts";
export const WATCH = "core/znode/watch.ts";
export const CALLS = "durable-objects/shared/call-order.ts";
export const ALARM = "durable-objects/shared/deadline-alarm.ts";
export const GUARD = "durable-objects/shared/guarded.ts";
