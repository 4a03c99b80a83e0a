/**
 * The rules that every simulated run must keep, whatever fails: one line each, with its source. A checker names the rule that
 * it checks (`checks.ts`), and a campaign fails if a rule was never checked. A new rule is a line here and a checker in the
 * list of `invariants.ts`.
 *
 * @source ZooKeeper's TLA+ specifications: `Zab.tla`, `ZkV3_7_0.tla`; Zab, DSN 2011
 */

/** What a rule says, and where it comes from. */
interface RuleText {
  readonly claim: string;
  readonly source: string;
}

const rule = (claim: string, source: string): RuleText => ({ claim, source });

/** *map name → rule*, by family: one file of this folder each, except where the line says so */
export const RULE_TABLE = {
  // election.ts
  Leadership1: rule("no two members are beyond discovery in one epoch as leaders", "TLA+"),
  Leadership2: rule("an epoch has one established leader in the whole run, in one life of it", "TLA+"),
  PrimaryIntegrity: rule(
    "a member that begins to broadcast has everything that was ever committed in earlier epochs",
    "TLA+, paper",
  ),

  // epochs.ts
  Epochs: rule(
    "epoch(log end) ≤ currentEpoch ≤ acceptedEpoch; neither goes back, and no promise that left is forgotten",
    "Zab, DSN 2011",
  ),

  // discovery.ts
  PromiseOnce: rule("an epoch is promised to one candidate", "ZAB-53"),
  NewEpoch: rule("a new epoch is above everything that its quorum has promised", "ZAB-50"),
  Discovery: rule("a leader has the best history of a quorum whose promises still count", "ZAB-52, 54, 115"),
  LivesSeen: rule(
    "lives of peers are noted before they count, and are part of every promise",
    "ZAB-113, 115",
  ),
  Witnesses: rule(
    "a member without memory has the answers of a majority, and promises no less than they have promised",
    "ZAB-111",
  ),

  // synchronization.ts
  messageIllegal: rule("leader and learner send only messages of their own role", "TLA+, in action"),
  stateInconsistent: rule("no message comes in a phase that is not its own", "TLA+, in action"),
  proposalInconsistent: rule("a proposal follows the one before it", "TLA+, in action"),
  commitInconsistent: rule(
    "no learner gets a commit of what it was not sent, or twice, or backwards",
    "TLA+, in action",
  ),
  ackInconsistent: rule("an ack names what was sent, and rises", "TLA+, in action"),

  // log.ts
  LogEquality: rule("equal zxid, equal chain, committed or not", "Zab, DSN 2011"),
  LogKept: rule(
    "the log is cut below the checkpoint only, and keeps its retention and what active learners lack",
    "ZAB-14",
  ),
  Asleep: rule("a member that has agreed to sleep logs nothing until an election", "QUIET-8"),

  // delivery.ts
  PrefixConsistency: rule(
    "committed histories are prefixes of one another, by zxid and chain; nothing committed is taken back (log.ts too)",
    "TLA+",
  ),
  Integrity: rule("what is delivered was broadcast by the leader of its epoch", "TLA+, paper"),
  Agreement: rule("what one member delivered, every other has at that place", "TLA+, paper"),
  TotalOrder: rule("all deliver in one order", "TLA+, paper"),
  LocalPrimaryOrder: rule("of one epoch, in the order of the broadcast and without a gap", "TLA+, paper"),
  GlobalPrimaryOrder: rule("no smaller epoch after a larger one", "TLA+, paper"),
  Durable: rule(
    "nothing is applied that is not durable here, and nothing first that a quorum never held durably",
    "ZOOKEEPER-4882",
  ),

  // digests.ts
  DigestEquality: rule(
    "equal applied zxid, equal tree and sessions; where trees are damaged, the history's, and nobody serves with another",
    "ZooKeeper AdHash",
  ),

  // sessions.ts
  SessionExpiry: rule(
    "no session is closed before its timeout is over since a leader last heard of it, or lost the learner that reported it, by a clock whose jumps count for two ticks at most",
    "ZooKeeper SessionTracker",
  ),
  Grace: rule("a leader closes no session within a tick of becoming ready", "SERVER-10, QUIET-5"),
  FullTimeout: rule(
    "a leader closes no session before it led for the session's timeout, unless it continues a sleep in time",
    "SERVER-10, QUIET-7",
  ),
  SignOfLife: rule(
    "what a follower heard of a session counts, if nothing is wrong with members and links meanwhile",
    "SERVER-9, 39",
  ),
  SessionMoved: rule(
    "once a connection has attached to a session, no write of an earlier one happens",
    "SERVER-33",
  ),
  Ephemerals: rule("none outlives its session (healing.ts)", "ZooKeeper's guarantees"),

  // requests.ts
  ToldIsCommitted: rule("what a client was told of is committed", "reliability"),
  Once: rule("each (session, xid) happens once, in the order of the xids", "reliability"),
  SessionOrder: rule(
    "answers of one session leave a member in the order of its requests",
    "ZooKeeper's guarantees",
  ),
  Linearizable: rule(
    "a linearizable read shows every write that was answered before the read was sent",
    "`sync`",
  ),
  AtLeast: rule("no client is shown less than what it says that it has seen (http-client.ts)", "SERVER-31"),
  AnswerSize: rule(
    "no answer is larger than what its reader allows; a list that is reads the same in pages (http-client.ts)",
    "HTTP-47",
  ),

  // readiness.ts
  ReadReady: rule(
    "a member that has not served in this life answers only reads that may be stale",
    "SERVER-1, 34",
  ),
  ReadyWhole: rule(
    "a follower takes requests only once it has applied all that its log held when its stay came to broadcast",
    "SERVER-4",
  ),

  // supervisor.ts
  Undamaged: rule("a member finds damage only in a storage that was damaged", "ZAB-140, ZNODE-42"),

  // the network, and the end of a run
  CallOrder: rule(
    "no call of a link is handled before one that was to arrive within a second (calls.ts)",
    "NODE-12",
  ),
  Liveness: rule("healed, the ensemble has a leader soon, and all agree soon after (healing.ts)", "ours"),
} satisfies Readonly<Record<string, RuleText>>;

/** The name of a rule. */
export type Rule = keyof typeof RULE_TABLE;

/** The names of all rules. */
export const RULES = Object.keys(RULE_TABLE) as readonly Rule[];
