/** The parts of a peer that a role uses, and the interface of the peer to its roles. */
import type { OwnTree } from "./digests.ts";
import type { Epochs } from "./epochs.ts";
import type { History } from "./history.ts";
import type { Links } from "./links.ts";
import type { Sid } from "./membership.ts";
import type { Phase, Role } from "./messages.ts";
import type { Self } from "./self.ts";
import type { Step } from "./step.ts";
import type { SnapshotReader } from "./storage.ts";

/** The parts of a peer, which outlive its roles. Each owns its state, which roles change only through its methods. */
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
  /** how long the leader may hold back a COMMIT for this peer, ms */
  readonly patienceMs: number;
  /** Ends the role and begins an election. */
  becomeLooking(reason: string): void;
  /** Ends the election. @param electedIn the electionEpoch in which this leader was elected */
  becomeFollowing(leader: Sid, electedIn: number): void;
  /** Ends the election: this peer is elected. */
  becomeLeading(): void;
  /** The number of the next stay with a leader. */
  nextJoin(): number;
  /** Records and reports a change of role or phase. */
  phaseChanged(role: Role, phase: Phase): void;
  /** Sends a PING, unless one is under way. */
  ping(peer: Sid): void;
  /** Sends the own notification to all peers. */
  notifyAll(): void;
}
