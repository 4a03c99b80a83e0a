/** Accepts or drops messages in calls of other peers and in returns of own calls, and routes them to the current role. */
import type { CallOrigin, ZabInput } from "./effects.ts";
import { unpackIncarnation } from "./links.ts";
import type { Sid } from "./membership.ts";
import type { LeaderMessage, LearnerMessage, Role, ZabMessage } from "./messages.ts";
import type { Roles } from "./roles.ts";

type Returned = Extract<ZabInput, { type: "returned" }>;

type Handler<Message> = (dispatch: Dispatch, from: Sid, message: Message, isCall: boolean) => void;
/** One handler per message type. */
type HandlersOf<Type extends ZabMessage["type"]> = {
  readonly [T in Type]: Handler<Extract<ZabMessage, { type: T }>>;
};

const nothing = (): void => {};

const toLeader: Handler<LearnerMessage> = ({ roles }, from, message) => roles.toLeader(from, message);

const toFollower: Handler<LeaderMessage> = ({ roles }, from, message, isCall) =>
  roles.toFollower(from, message, isCall);

/** Handlers that are the same in every role. */
const ALWAYS: HandlersOf<"OUTDATED" | "NOTIFICATION" | "PING" | "PONG"> = {
  OUTDATED: ({ roles }, _, message, isCall) => {
    if (!isCall && message.boot > roles.self.boot) roles.end(message.boot);
  },
  NOTIFICATION: (dispatch, from, message, isCall) => {
    const { roles } = dispatch;
    roles.links.noteRole(from, message.role);
    if (!isCall && message.boots !== undefined) {
      dispatch.learnIncarnations(message.boots);
      if (roles.lastSeq !== null) return;
      const { epochs } = roles;
      if (message.initialized && !epochs.initialized) epochs.noteRecorded(from, message.acceptedEpoch);
    }
    roles.handleNotification(from, message, isCall);
  },
  PING: ({ roles }, from, message, isCall) => roles.handlePing(from, message, isCall),
  PONG: ({ roles }, from, message) => roles.handlePong(from, message),
};

/**
 * Handlers of a learner's messages at a peer that does not lead: it answers FOLLOWERINFO with its notification, and learns
 * incarnations from ACKEPOCH.
 */
const NOT_LEADING: HandlersOf<LearnerMessage["type"]> = {
  FOLLOWERINFO: ({ roles }, _from, _message, isCall) => {
    if (isCall) roles.step.reply(roles.looking.notification());
  },
  ACKEPOCH: (dispatch, _, message) => dispatch.learnIncarnations(message.boots),
  POSITION: nothing,
  STAGED: nothing,
  ACK: nothing,
  CONFIRM: nothing,
};

const NOT_FOLLOWING: HandlersOf<LeaderMessage["type"]> = {
  LEADERINFO: nothing,
  DIFF: nothing,
  TRUNC: nothing,
  SNAP: nothing,
  SNAPCHUNK: nothing,
  PROPOSAL: nothing,
  NEWLEADER: nothing,
  UPTODATE: nothing,
  COMMIT: nothing,
  LEADERACK: nothing,
  CHECK: nothing,
};

/** The handler of each message in each role. A new role or message type does not compile until it is added here. */
const HANDLERS: Readonly<Record<Role, HandlersOf<ZabMessage["type"]>>> = {
  LOOKING: { ...ALWAYS, ...NOT_LEADING, ...NOT_FOLLOWING },
  FOLLOWING: {
    ...ALWAYS,
    ...NOT_LEADING,
    LEADERINFO: toFollower,
    DIFF: toFollower,
    TRUNC: toFollower,
    SNAP: toFollower,
    SNAPCHUNK: toFollower,
    PROPOSAL: toFollower,
    NEWLEADER: toFollower,
    UPTODATE: toFollower,
    COMMIT: toFollower,
    LEADERACK: toFollower,
    CHECK: toFollower,
  },
  LEADING: {
    ...ALWAYS,
    ...NOT_FOLLOWING,
    FOLLOWERINFO: toLeader,
    ACKEPOCH: (dispatch, from, message, isCall) => {
      dispatch.learnIncarnations(message.boots);
      toLeader(dispatch, from, message, isCall);
    },
    POSITION: toLeader,
    STAGED: toLeader,
    ACK: toLeader,
    CONFIRM: toLeader,
  },
};

/**
 * Handles the calls and returns of other peers.
 * Invariant: no role receives a message of an earlier incarnation or generation, nor a message of a link twice or out of order.
 *
 * @source ZooKeeper QuorumCnxManager, FastLeaderElection.WorkerReceiver
 */
export class Dispatch {
  readonly roles: Roles;
  #accepted = false;

  constructor(roles: Roles) {
    this.roles = roles;
  }

  /** Whether the last call or return was on a current link. If not, the server must drop the rest of its content too. */
  get accepted(): boolean {
    return this.#accepted;
  }

  /** Resets {@link accepted} at the start of an input. */
  reset(): void {
    this.#accepted = false;
  }

  /** Handles a call of a peer. Calls of unknown senders are ignored. */
  handleCall(origin: CallOrigin, messages: readonly ZabMessage[]): void {
    const { links, step } = this.roles;
    if (!links.all.has(origin.from)) return;
    step.caller = origin.from;
    this.#accepted = this.#acceptCall(origin);
    if (this.#accepted) {
      links.heard(origin.from, origin.version);
      this.roles.heard(origin.from);
      for (const message of messages) this.#handle(origin.from, message, true);
    }
    step.caller = null;
  }

  #acceptCall(origin: CallOrigin): boolean {
    const { links, step } = this.roles;
    const known = links.incarnationOf(origin.from);
    if (origin.boot < known) {
      step.reply({ type: "OUTDATED", boot: known });
      return false;
    }
    this.#learnIncarnation(origin.from, origin.boot);
    const order = links.classify(origin);
    if (order === "INTERRUPTED") this.roles.interrupted(origin.from);
    return order !== "LATE";
  }

  /** Handles the return of an own call. */
  handleReturn({ peer, generation, boot, version, messages }: Returned): void {
    const { links } = this.roles;
    this.#accepted = links.of(peer).generation === generation && boot >= links.incarnationOf(peer);
    if (!this.#accepted) return;
    this.#learnIncarnation(peer, boot);
    links.heard(peer, version);
    links.answered(peer);
    this.roles.heard(peer);
    for (const message of messages) this.#handle(peer, message, false);
  }

  #handle(from: Sid, message: ZabMessage, isCall: boolean): void {
    if (this.roles.lastSeq !== null) return;
    const handlers: Readonly<Record<string, Handler<never>>> = HANDLERS[this.roles.role];
    // A type that this version does not know can only be a leader's message: the stay ends.
    const handle = handlers[message.type] ?? toFollower;
    handle(this, from, message as never, isCall);
  }

  /** Learns the incarnations of all members, own included, that a peer has seen. @param packed see {@link unpackIncarnation} */
  learnIncarnations(packed: readonly number[]): void {
    const { sid, boot: own, quorum } = this.roles.self;
    for (const participant of quorum.participants) {
      const boot = unpackIncarnation(packed, participant);
      if (participant !== sid) this.#learnIncarnation(participant, boot);
      else if (boot > own) this.roles.end(boot);
    }
  }

  /** Learns one incarnation of a peer. Messages and promises of earlier incarnations stop counting. */
  #learnIncarnation(peer: Sid, boot: number): void {
    const { links } = this.roles;
    if (!links.learnIncarnation(peer, boot)) return;
    const wasUsed = links.resetInbound(peer);
    this.roles.leading?.forgetIncarnation(peer);
    if (wasUsed) this.roles.interrupted(peer);
  }
}
