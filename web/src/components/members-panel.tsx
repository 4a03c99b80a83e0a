/** Every node in a row: what it knows, and the buttons that break it. The ring's twin for reading. */
import { useEffect, useRef } from "react";
import type { EnsembleState, NodeState, NodeUp } from "../api/types.ts";
import { useLive } from "../hooks/live-store.ts";
import type { FaultsSwitch } from "../hooks/use-status.ts";
import { activeSetOf, txnsBehind } from "../model/ensemble-view.ts";
import { showZxid } from "../model/zxid.ts";
import { lookOf } from "./ensemble-ring.tsx";
import { FaultButton } from "./fault-button.tsx";
import { HEAL, nodeFaultOf } from "./faults.ts";
import { Icon } from "./icon.tsx";
import { Panel } from "./panel.tsx";

interface Props {
  readonly base: string;
  readonly state: EnsembleState;
  readonly faults: FaultsSwitch;
}

export function MembersPanel({ base, state, faults }: Props) {
  return (
    <Panel
      title="Nodes"
      area="members"
      hint={
        faults === "off"
          ? "Faults are switched off on this deployment."
          : "Kill keeps a node down until you revive it. Crash only takes its memory."
      }
      actions={
        faults === "on" && (
          <FaultButton
            base={base}
            fault={HEAL}
            label="Heal all"
            title="Heal all: revive every node and broker"
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

function Member({ node, base, state, faults }: Props & { node: NodeState }) {
  const selected = useLive((live) => live.selectedSid === node.sid);
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (selected) row.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const leads = node.up && state.leader === node.sid;
  const look = lookOf(node, leads);
  return (
    <li ref={row} className={`row${selected ? " row-selected" : ""}${node.up ? "" : " row-down"}`}>
      <span className={`badge badge-${look}`} aria-hidden="true">
        {node.sid}
      </span>
      <span className="row-main">
        <span className="row-title">
          <span className="sr-only">Node {node.sid}: </span>
          {leads && <Icon name="crown" size={13} />}
          {roleWords(node, leads)}
        </span>
        <span className="row-sub">
          zxid{" "}
          <span className="mono" data-testid={`zxid-${node.sid}`} data-zxid={node.up ? node.lastZxid : ""}>
            {node.up ? showZxid(node.lastZxid) : "–"}
          </span>
          {node.up ? <Standing state={state} node={node} /> : <span> · does not answer</span>}
        </span>
      </span>
      {faults === "on" && <Buttons node={node} base={base} />}
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

function Buttons({ node, base }: { node: NodeState; base: string }) {
  const { sid } = node;
  // It may be dead or only stand still: healing ends both.
  if (!node.up) {
    return (
      <span className="row-actions">
        <FaultButton
          base={base}
          fault={nodeFaultOf(sid, "heal")}
          label="Revive"
          title={`Revive node ${sid}`}
          tone="mend"
          testId={`revive-node-${sid}`}
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
        title={`Kill node ${sid}`}
        tone="danger"
        testId={`kill-node-${sid}`}
      />
      <FaultButton
        base={base}
        fault={nodeFaultOf(sid, "crash")}
        label="Crash"
        title={`Crash node ${sid}: it loses its memory and starts again from its log`}
        tone="danger"
        testId={`crash-node-${sid}`}
      />
    </span>
  );
}

function roleWords(node: NodeState, leads: boolean): string {
  if (!node.up) return "Down";
  if (leads) return "Leader";
  if (node.role === "LEADING") return "Forming a quorum";
  if (node.role === "LOOKING") return "Looking";
  return node.phase === "BROADCAST" ? "Follower" : "Catching up";
}
