/** Formats states and steps of the search as readable text. */
import type { ZabMessage } from "../../../core/zab/messages.ts";
import type { Members } from "./member.ts";
import type { Input } from "./step.ts";

const ROLES = ["down", "LOOKING", "FOLLOWING", "LEADING"];
const PHASES = ["ELECTION", "DISCOVERY", "SYNCHRONIZATION", "BROADCAST"];

const zxid = ({ epoch, counter }: { epoch: number; counter: number }): string => `${epoch}.${counter}`;

/** One line of text for a message. */
export function describeMessage(message: ZabMessage): string {
  switch (message.type) {
    case "NOTIFICATION":
      return `NOTIFICATION ${message.role} round ${message.round} votes ${message.vote.leader} (${message.vote.epoch}, ${zxid(message.vote.zxid)})`;
    case "PROPOSAL":
      return `PROPOSAL ${zxid(message.last)} after ${zxid(message.prev.zxid)}, commit ${zxid(message.commit)}`;
    case "ACKEPOCH":
      return `ACKEPOCH ${message.epoch}: current ${message.currentEpoch}, log ends at ${zxid(message.last.zxid)}${message.counted ? "" : ", not counted"}`;
    case "ACK":
      return `ACK ${zxid(message.zxid)}`;
    case "NEWLEADER":
      return `NEWLEADER ${message.epoch}, ${zxid(message.last)}`;
    case "UPTODATE":
      return `UPTODATE ${zxid(message.commit)}`;
    case "COMMIT":
      return `COMMIT ${zxid(message.zxid)}`;
    case "DIFF":
      return `DIFF from ${zxid(message.from)}`;
    case "TRUNC":
      return `TRUNC to ${zxid(message.to)}`;
    case "SNAP":
      return `SNAP at ${zxid(message.at.zxid)}`;
    case "LEADERINFO":
      return `LEADERINFO ${message.epoch}`;
    case "FOLLOWERINFO":
      return `FOLLOWERINFO accepted ${message.acceptedEpoch}`;
    default:
      return message.type;
  }
}

/** One line of text for an input. */
export function describeInput(sid: number, input: Input): string {
  switch (input.kind) {
    case "call":
      return `${sid} ◀ ${input.from}: ${describeMessage(input.message)}`;
    case "returned":
      return `${sid} ◀ return of ${input.peer}: ${input.messages.map(describeMessage).join("; ")}`;
    case "broken":
      return `${sid}'s link to ${input.peer} breaks`;
    case "synced":
      return `${sid}'s oldest write is durable`;
    case "decide":
      return `${sid} waits no longer for a better vote`;
    case "resend":
      return `${sid} says its vote again`;
    case "giveUp":
      return `${sid}'s deadline passes`;
    case "silent":
      return `${sid} has not heard of ${input.peer} for too long`;
    case "propose":
      return `${sid} proposes write ${input.n}`;
    case "checkpoint":
      return `${sid} makes a checkpoint`;
    case "crash":
      return `${sid} crashes; ${input.keep} unfinished writes are kept`;
    case "start":
      return `${sid} starts`;
  }
}

/** One line of text for a member's state. */
export function describeMember(members: Members, state: number): string {
  const facts = members.facts[state];
  if (facts === undefined) return "?";
  const log = (ids: readonly number[]): string => ids.map((id) => zxid(members.entries.at(id))).join(" ");
  const where = facts.up ? `${ROLES[facts.role]}/${PHASES[facts.phase]}→${facts.leader || "-"}` : "down";
  const disk =
    facts.pending > 0
      ? `, disk e${facts.durableCurrentEpoch}/${facts.durableAcceptedEpoch} [${log(facts.durableLog)}]`
      : "";
  const delivered = zxid(members.entries.at(facts.delivered));
  return `${facts.sid}: ${where} e${facts.currentEpoch}/${facts.acceptedEpoch} [${log(facts.log)}] delivered ${delivered}${disk}`;
}
