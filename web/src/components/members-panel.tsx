/** Every node in a row: what it knows, and the buttons that break it. The ring's twin for reading. */
import { useEffect, useRef } from "react";
import type { FaultAction } from "../api/calls.ts";
import type { EnsembleState, NodeState, NodeUp } from "../api/types.ts";
import { useLive } from "../hooks/live-store.ts";
import type { Faults } from "../hooks/use-status.ts";
import { activeSetOf, isThere, txnsBehind } from "../model/ensemble-view.ts";
import { showZxid } from "../model/zxid.ts";
import { type Look, lookOf } from "./ensemble-ring.tsx";
import { FaultButton, FaultIcon } from "./fault-button.tsx";
import { HEAL, nodeFaultOf } from "./faults.ts";
import { Icon } from "./icon.tsx";
import { Panel } from "./panel.tsx";

interface Props {
  readonly base: string;
  readonly state: EnsembleState;
  readonly faults: Faults;
}

/** Names of faults. */
type Names = readonly string[];

export function MembersPanel({ base, state, faults }: Props) {
  return (
    <Panel
      title="Nodes"
      area="members"
      hint={
        faults.state === "off"
          ? "Faults are switched off on this deployment."
          : "Kill keeps a node down until you revive it. Crash, pause and cut off pass by themselves."
      }
      actions={
        faults.state === "on" && (
          <FaultButton
            base={base}
            fault={HEAL}
            label="Heal all"
            title="Heal all: end every fault, of nodes and brokers"
            tone="mend"
            testId="heal-all"
          />
        )
      }
    >
      <ul className="rows">
        {state.nodes.map((node) => (
          <Member key={node.sid} node={node} base={base} state={state} faults={faults} />
        ))}
      </ul>
    </Panel>
  );
}

const NONE: Names = [];

function Member({ node, base, state, faults }: Props & { node: NodeState }) {
  const selected = useLive((live) => live.selectedSid === node.sid);
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (selected) row.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const look = lookOf(state, node);
  const names = faults.ofNode.get(node.sid) ?? NONE;
  return (
    <li
      ref={row}
      className={`row${selected ? " row-selected" : ""}${isThere(state, node) ? "" : " row-down"}`}
    >
      <span className={`badge badge-${look === "cut" ? "down" : look}`} aria-hidden="true">
        {node.sid}
      </span>
      <span className="row-main">
        <span className="row-title">
          <span className="sr-only">Node {node.sid}: </span>
          {look === "leader" && <Icon name="crown" size={13} />}
          {roleWords(node, look)}
        </span>
        <span className="row-sub">
          zxid{" "}
          <span className="mono" data-testid={`zxid-${node.sid}`} data-zxid={node.up ? node.lastZxid : ""}>
            {node.up ? showZxid(node.lastZxid) : "–"}
          </span>
          {node.up && look !== "cut" ? (
            <Standing state={state} node={node} />
          ) : (
            <span> · {node.up ? "not heard" : names.includes("pause") ? "paused" : "does not answer"}</span>
          )}
          {node.reason !== undefined && <span className="lag"> · {node.reason}</span>}
        </span>
      </span>
      {faults.state === "on" && <Buttons node={node} base={base} look={look} faults={names} />}
    </li>
  );
}

/** What keeps a live node from counting: it lags, or the leader does not reckon with it. */
function Standing({ state, node }: { state: EnsembleState; node: NodeUp }) {
  const behind = txnsBehind(state, node.lastZxid);
  if (behind !== 0) {
    return <span className="lag"> · {behind === null ? "an epoch behind" : `${behind} behind`}</span>;
  }
  if (state.leader === null || activeSetOf(state).includes(node.sid)) return null;
  return <span className="lag"> · not in the active set</span>;
}

/** A node that something is wrong with has one button, which ends that; any other has those that break it. */
function Buttons({ node, base, look, faults }: { node: NodeState; base: string; look: Look; faults: Names }) {
  const { sid } = node;
  const end = endOf(node, look, faults);
  if (end !== undefined) {
    return (
      <span className="row-actions">
        <FaultButton
          base={base}
          fault={nodeFaultOf(sid, end.action)}
          label={end.label}
          title={`${end.label} node ${sid}`}
          tone="mend"
          testId={`${end.label.toLowerCase()}-node-${sid}`}
        />
      </span>
    );
  }
  return (
    <span className="row-actions">
      <FaultButton
        base={base}
        fault={nodeFaultOf(sid, "kill")}
        label="Kill"
        title={`Kill node ${sid}: it refuses every call until you revive it`}
        tone="danger"
        testId={`kill-node-${sid}`}
      />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      <span className="split split-danger" role="group" aria-label={`Other ways to break node ${sid}`}>
        <FaultIcon
          base={base}
          fault={nodeFaultOf(sid, "crash")}
          icon="bolt"
          title={`Crash node ${sid}: it loses its memory and starts again from its log`}
          testId={`crash-node-${sid}`}
        />
        <FaultIcon
          base={base}
          fault={nodeFaultOf(sid, "pause")}
          icon="pause"
          title={`Pause node ${sid}: it stands still with its memory, for a minute or until you resume it`}
          testId={`pause-node-${sid}`}
        />
        <FaultIcon
          base={base}
          fault={nodeFaultOf(sid, "isolate")}
          icon="cut"
          title={`Cut node ${sid} off: what it says and what it is told is lost, for a minute or until you reconnect it`}
          testId={`isolate-node-${sid}`}
        />
      </span>
    </span>
  );
}

function endOf(
  node: NodeState,
  look: Look,
  faults: Names,
): { label: string; action: FaultAction } | undefined {
  if (faults.includes("kill")) return { label: "Revive", action: "heal" };
  if (faults.includes("pause")) return { label: "Resume", action: "resume" };
  if (faults.includes("isolate") || look === "cut") return { label: "Reconnect", action: "rejoin" };
  // dead by something else, or the faults are not known yet
  return node.up ? undefined : { label: "Revive", action: "heal" };
}

function roleWords(node: NodeState, look: Look): string {
  if (!node.up) return "Down";
  if (look === "cut") return "Cut off";
  if (look === "leader") return "Leader";
  if (node.role === "LEADING") return "Forming a quorum";
  if (node.role === "LOOKING") return "Looking";
  return node.phase === "BROADCAST" ? "Follower" : "Catching up";
}
