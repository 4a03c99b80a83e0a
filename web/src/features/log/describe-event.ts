/** A protocol event in words, for the event log. */
import type { ProtocolEvent } from "../../api/types.ts";
import { showZxid } from "../../api/zxid.ts";
import { signOf } from "../faults/fault-signs.ts";

/** One line of text for an event. */
export function describeEvent(event: ProtocolEvent): string {
  const txns = event.count !== undefined && event.count > 1 ? ` (${event.count} txns)` : "";
  const to = receivers(event.to);
  const from = event.from === undefined ? "" : ` ← node ${event.from}`;
  switch (event.type) {
    case "propose":
      return `PROPOSAL ${showZxid(event.zxid)}${txns}${to || " → followers"}`;
    case "ack":
      return `ACK ${showZxid(event.zxid)}${txns}${to}${from}`;
    case "commit":
      return `COMMIT ${showZxid(event.zxid)}${txns}${to}${from}`;
    case "ping":
      return `PING${to}${from}${event.rttMs === undefined ? "" : `, ${event.rttMs} ms`}`;
    case "vote":
      return `votes for node ${event.leader ?? "?"}${event.zxid ? ` (log at ${showZxid(event.zxid)})` : ""}${to}`;
    case "role":
      return roleText(event);
    case "epoch":
      return event.kind === "accepted"
        ? `promises epoch ${event.epoch ?? "?"}`
        : `enters epoch ${event.epoch ?? "?"}`;
    case "active":
      return `counts on ${(event.sids ?? []).length === 1 ? "itself alone" : `nodes ${(event.sids ?? []).join(", ")}`}`;
    case "sync":
      return `${event.mode ?? "SYNC"}${event.zxid ? ` up to ${showZxid(event.zxid)}` : ""}${from}${to}`;
    case "link":
      return `link${to}${from} ${event.up ? "is up" : "is broken"}`;
    case "fault":
      return faultText(event);
    case "gap":
      return "some events of this node were missed";
    default:
      // an event of a later version
      return `${event.type}${restOf(event)}`;
  }
}

function faultText({ broker, began, ended, faults }: ProtocolEvent): string {
  const who = broker === undefined ? "" : `broker ${broker}: `;
  const words = (faults ?? []).map((fault) => signOf(fault).text).join("; ");
  const changes = [began && `${began} begins`, ended?.length && `${ended.join(", ")} ended`].filter(Boolean);
  return who + ([changes.join(", "), words].filter((text) => text !== "").join(": ") || "no faults");
}

function receivers(to: ProtocolEvent["to"]): string {
  if (to === undefined) return "";
  if (typeof to === "number") return ` → node ${to}`;
  return to.length === 0 ? "" : ` → ${to.length === 1 ? "node" : "nodes"} ${to.join(", ")}`;
}

function roleText(event: ProtocolEvent): string {
  const phase =
    event.phase && event.phase !== "BROADCAST" && event.phase !== "ELECTION"
      ? `, ${event.phase.toLowerCase()}`
      : "";
  if (event.role === "LEADING")
    return `leads${event.epoch === undefined ? "" : ` epoch ${event.epoch}`}${phase}`;
  if (event.role === "FOLLOWING") return `follows node ${event.leader ?? "?"}${phase}`;
  return "looks for a leader";
}

const NAMED = new Set(["id", "at", "sid", "type", "to", "from"]);

/** Fields for which the page has no words, unchanged. */
function restOf(event: ProtocolEvent): string {
  const rest = Object.entries(event).filter(([name, value]) => !NAMED.has(name) && value !== undefined);
  return rest.map(([name, value]) => ` ${name}=${String(value)}`).join("");
}
