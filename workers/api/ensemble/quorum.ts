/** The state of the ensemble as a whole, from the status of its nodes. */
import type { EnsembleJson, NodeView } from "../schema/views.ts";

/** Members that make a quorum. */
export const quorumOf = (size: number): number => Math.floor(size / 2) + 1;

/** Why there is no quorum if too few nodes are up. */
export const tooFewUp = (up: number, size: number): string =>
  `${up} of ${size} nodes ${up === 1 ? "is" : "are"} up, ${quorumOf(size)} are needed`;

/** Summarises the nodes. A leader counts only if a quorum follows it. */
export function summarise(ensemble: string, nodes: readonly NodeView[]): EnsembleJson {
  const size = nodes.length;
  const quorum = quorumOf(size);
  const up = nodes.filter((node) => node.up);
  const leading = up.filter((node) => node.role === "LEADING" && node.serving);
  const leader = leading.reduce<(typeof up)[number] | undefined>(
    (best, node) => (best === undefined || node.currentEpoch > best.currentEpoch ? node : best),
    undefined,
  );
  const followers = up.filter((node) => node.serving && node.leader === leader?.sid).length;
  const quiet = up.length > 0 && up.every((node) => node.quiet);
  // a sleeping ensemble takes a request without a leader, because waking begins with an election
  const hasQuorum = quiet ? up.length >= quorum : leader !== undefined && followers >= quorum;
  const lost = hasQuorum ? undefined : lostMajority(nodes, quorum);
  return {
    ensemble,
    size,
    quorum,
    hasQuorum,
    leader: hasQuorum ? (leader?.sid ?? null) : null,
    epoch: leader?.currentEpoch ?? Math.max(0, ...up.map((node) => node.currentEpoch)),
    reason: hasQuorum
      ? null
      : (lost ??
        waitOf(up) ??
        tooFewCount(up, size) ??
        reasonOf(size, quorum, up.length, leader?.sid, followers)),
    quiet,
    quietSince: quiet ? Math.max(...up.map((node) => node.quietSince ?? 0)) : null,
    // repairing one node might delete the last copy
    nodes: lost === undefined ? nodes : nodes.map(withoutRepair),
  };
}

/** Reason if so many storages are damaged that the nodes cannot repair each other; undefined if they can. */
function lostMajority(nodes: readonly NodeView[], quorum: number): string | undefined {
  const damaged = nodes.filter(({ damage }) => damage !== undefined);
  const whole = nodes.length - damaged.length;
  if (whole >= quorum) return undefined;
  const what = damaged.map(({ sid, damage }) => `node ${sid}: ${damage}`).join("; ");
  const kept = damaged.filter((node) => node.up && node.quarantined === true).map(({ sid }) => sid);
  const rows =
    kept.length === 0
      ? ""
      : `. The rows in which damage was found are kept in the tables quarantine_… of ${kept.length === 1 ? "node" : "nodes"} ${kept.join(", ")}`;
  return (
    `the storage of ${damaged.length} of ${nodes.length} nodes is damaged (${what}), and ${quorum} whole nodes are needed: ` +
    `no leader is elected from nodes that have lost what they acknowledged${rows}. Wipe and delete nothing; ` +
    'see "When a majority is damaged" in docs/fault-injection.md'
  );
}

/** Reason if enough nodes are up but too few of them count: a damaged node counts once it has synchronised. */
function tooFewCount(up: readonly NodeView[], size: number): string | undefined {
  const quorum = quorumOf(size);
  const damaged = up.filter(({ damage }) => damage !== undefined).map(({ sid }) => sid);
  if (up.length < quorum || up.length - damaged.length >= quorum) return undefined;
  return (
    `${up.length} of ${size} nodes are up, and the storage of ${damaged.length === 1 ? "node" : "nodes"} ${damaged.join(", ")} was damaged: ` +
    `${quorum} nodes that are whole are needed before a damaged one can synchronise. Bring those back that are down`
  );
}

function withoutRepair(node: NodeView): NodeView {
  if (node.damage === undefined) return node;
  const reason = `its storage is damaged (${node.damage}), and so is that of a majority: see the reason of the ensemble`;
  return { ...node, reason };
}

/** What an elected node waits for, as it reports it. */
function waitOf(up: readonly NodeView[]): string | undefined {
  for (const node of up) {
    if (
      node.up &&
      node.role === "LEADING" &&
      !node.serving &&
      node.reason !== undefined &&
      node.reason !== ""
    )
      return `node ${node.sid} is elected and waits: ${node.reason}`;
  }
  return undefined;
}

function reasonOf(
  size: number,
  quorum: number,
  up: number,
  leader: number | undefined,
  followers: number,
): string {
  if (up < quorum) return tooFewUp(up, size);
  if (leader === undefined) return `${up} of ${size} nodes are up and elect a leader`;
  return `node ${leader} leads, but only ${followers} of the ${quorum} nodes that are needed serve under it yet`;
}
