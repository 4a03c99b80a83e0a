/** What a role works with, and what it asks of the peer that holds it. */
import type { OwnTree } from "./digests.ts";
import type { Epochs } from "./epochs.ts";
import type { History } from "./history.ts";
import type { Links } from "./links.ts";
import type { Sid } from "./membership.ts";
import type { Phase, Role } from "./messages.ts";
import type { Self } from "./self.ts";
import type { Step } from "./step.ts";
import type { SnapshotReader } from "./storage.ts";

/** The parts of a peer, which outlive its roles. Each owns its state; a role changes it through the part's methods only. */
export interface PeerParts {
  readonly self: Self;
  readonly step: Step;
  readonly links: Links;
  readonly epochs: Epochs;
  readonly history: History;
  readonly tree: OwnTree;
  readonly snapshot: SnapshotReader;
}

/** The peer, as its roles see it. Only the peer changes roles. */
export interface RoleHost extends PeerParts {
  readonly role: Role;
  /** the leader that the peer follows, or itself if it leads; null while it looks for one */
  readonly leader: Sid | null;
  /** how long a commit may take to be known here, ms: the clients here can wait that long */
  readonly patienceMs: number;
  /** Gives the role up, and looks for a leader. */
  becomeLooking(reason: string): void;
  /** Ends the election. @param electedIn the electionEpoch in which this leader was elected */
  becomeFollowing(leader: Sid, electedIn: number): void;
  /** Ends the election: this peer is elected. */
  becomeLeading(): void;
  /** The number of the next stay with a leader. */
  nextJoin(): number;
  /** The phase changed. */
  phaseChanged(role: Role, phase: Phase): void;
  /** Sends a PING, unless one is under way. */
  ping(peer: Sid): void;
  /** Sends our vote, or our leader, to all peers. */
  notifyAll(): void;
}
