/** Formats members and messages as readable text, one line each. */
import type { PeerMessage } from "../core/server/messages.ts";
import { JOINS_PER_INCARNATION } from "../core/zab/roles.ts";
import { countTxns } from "../core/zab/txn-batch.ts";
import type { Zxid } from "../core/zab/zxid.ts";
import type { Member } from "./member/member.ts";

/** `epoch.counter` */
export const zxidAt = (zxid: Zxid): string => `${zxid.epoch}.${zxid.counter}`;

/** Role, phase, epochs and history of a member in one line. */
export function memberText({ sid, life }: Member): string {
  if (life === null) return `${sid}:down`;
  const { zab, tree, ready } = life.server;
  const state = `${zab.role}/${zab.phase}→${zab.leader ?? "-"}${ready ? "" : " not ready"}`;
  const places = [zab.lastLogged.zxid, zab.lastCommittedZxid, tree.lastApplied].map(zxidAt);
  const paused = life.isPaused ? " paused" : "";
  return `${sid}:${state} e${zab.currentEpoch}/${zab.acceptedEpoch} ${places.join("≥")}${paused}`;
}

/** A message in one line. */
export function textOf(message: PeerMessage): string {
  switch (message.type) {
    case "NOTIFICATION": {
      const { leader, epoch, zxid } = message.vote;
      const blank = message.initialized ? "" : " without memory";
      return `NOTIFICATION ${message.role} round ${message.round} for ${leader} (e${epoch}, ${zxidAt(zxid)})${blank}`;
    }
    case "FOLLOWERINFO":
      return `FOLLOWERINFO stay ${stayOf(message.join)}, promised e${message.acceptedEpoch}`;
    case "LEADERINFO":
      return `LEADERINFO e${message.epoch}`;
    case "ACKEPOCH":
      return `ACKEPOCH e${message.epoch}, in e${message.currentEpoch}, log ends at ${zxidAt(message.last.zxid)}${message.diverged ? ", differs" : ""}`;
    case "DIFF":
      return `DIFF from ${zxidAt(message.from)}`;
    case "TRUNC":
      return `TRUNC to ${zxidAt(message.to)}`;
    case "POSITION":
      return `POSITION ${zxidAt(message.last.zxid)}${message.needSnap ? ", needs SNAP" : ""}`;
    case "SNAP":
      return `SNAP at ${zxidAt(message.at.zxid)}`;
    case "SNAPCHUNK":
      return `SNAPCHUNK ${message.index}${message.done ? ", the last" : ""}`;
    case "STAGED":
      return "STAGED";
    case "PROPOSAL":
      return `PROPOSAL ${countTxns(message.batch)} txns after ${zxidAt(message.prev.zxid)} to ${zxidAt(message.last)}, committed ${zxidAt(message.commit)}`;
    case "NEWLEADER":
      return `NEWLEADER e${message.epoch}, history ends at ${zxidAt(message.last)}`;
    case "ACK":
      return `ACK ${zxidAt(message.zxid)}`;
    case "UPTODATE":
      return `UPTODATE committed ${zxidAt(message.commit)}`;
    case "COMMIT":
      return `COMMIT ${zxidAt(message.zxid)}`;
    case "LEADERACK":
      return `LEADERACK ${zxidAt(message.zxid)}`;
    case "CHECK":
      return `CHECK ${zxidAt(message.digest.zxid)}`;
    case "CONFIRM":
      return `CONFIRM ${zxidAt(message.zxid)}`;
    case "REQUEST":
      return "REQUEST";
    case "REJECT":
      return `REJECT ${message.requests.length}`;
    case "TOUCH":
      return `TOUCH ${message.sessions.length}`;
    default:
      return message.type;
  }
}

/** Number of a stay within its life. */
const stayOf = (join: number): number => join % JOINS_PER_INCARNATION;
