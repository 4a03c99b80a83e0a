/** The nodes as a list: the same state as on the ring, in words, and the buttons that break each. */
import { memo, useEffect, useRef } from "react";
import type { FaultAction } from "../../api/calls.ts";
import type { EnsembleState, FaultView, NodeState, NodeUp } from "../../api/types.ts";
import { showZxid } from "../../api/zxid.ts";
import { useLive } from "../../store/live-context.ts";
import { useLiveEvery } from "../../store/use-live-every.ts";
import { Icon } from "../../ui/icon.tsx";
import { Panel } from "../../ui/panel.tsx";
import { HEAL, nodeFaultOf } from "../faults/fault-actions.ts";
import { FaultButton, FaultIcon } from "../faults/fault-button.tsx";
import { FaultSigns } from "../faults/fault-sign-list.tsx";
import { signOf } from "../faults/fault-signs.ts";
import type { Faults } from "../faults/faults-known.ts";
import { activeSetOf, looksSame, txnsBehind } from "./ensemble-view.ts";
import { type Look, lookOf } from "./look.ts";
import { viewOf } from "./slice.ts";

/** Lists the nodes, with the buttons that break them. */
export const MembersPanel = memo(function MembersPanel() {
  const state = useLiveEvery(150, viewOf, looksSame);
  const faults = useLive((live) => live.faults);
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
        {state?.nodes.map((node) => (
          <Member key={node.sid} node={node} state={state} faults={faults} />
        ))}
      </ul>
    </Panel>
  );
});

const NONE: readonly FaultView[] = [];

function Member(props: { node: NodeState; state: EnsembleState; faults: Faults }) {
  const { node, state, faults } = props;
  const selected = useLive((live) => live.selectedSid === node.sid);
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (selected) row.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const look = lookOf(state, node, faults);
  const held = faults.ofNode.get(node.sid) ?? NONE;
  const isGone = look === "down" || look === "paused" || look === "cut";
  return (
    <li ref={row} className={`row${selected ? " row-selected" : ""}${isGone ? " row-down" : ""}`}>
      <span className={`badge badge-${isGone ? "down" : look}`} aria-hidden="true">
        {node.sid}
      </span>
      <span className="row-main">
        <span className="row-title">
          <span className="sr-only">Node {node.sid}: </span>
          {look === "leader" && <Icon name="crown" size={13} />}
          {roleWords(node, look, held)}
        </span>
        <span className="row-sub">
          zxid{" "}
          <span className="mono" data-testid={`zxid-${node.sid}`} data-zxid={node.up ? node.lastZxid : ""}>
            {node.up ? showZxid(node.lastZxid) : "–"}
          </span>
          {node.up && look !== "cut" ? (
            <Standing state={state} node={node} />
          ) : (
            <span> · {node.up ? "not heard" : look === "paused" ? "is paused" : "does not answer"}</span>
          )}
          {node.reason !== undefined && <span className="lag"> · {node.reason}</span>}
        </span>
        <FaultSigns signs={held.map(signOf)} />
      </span>
      {faults.state === "on" && <Buttons node={node} look={look} faults={held} />}
    </li>
  );
}

/** Why a node that is up does not count: it lags, or is not in the active set. */
function Standing({ state, node }: { state: EnsembleState; node: NodeUp }) {
  const behind = txnsBehind(state, node.lastZxid);
  if (behind !== 0) {
    return <span className="lag"> · {behind === null ? "an epoch behind" : `${behind} behind`}</span>;
  }
  if (state.leader === null || activeSetOf(state).includes(node.sid)) return null;
  return <span className="lag"> · not in the active set</span>;
}

/** A broken node has one button, which ends its fault; other nodes have the buttons that break them. */
function Buttons(props: { node: NodeState; look: Look; faults: readonly FaultView[] }) {
  const { node, look, faults } = props;
  const { sid } = node;
  const end = endOf(node, look, faults);
  if (end !== undefined) {
    return (
      <span className="row-actions">
        <FaultButton
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
        fault={nodeFaultOf(sid, "kill")}
        label="Kill"
        title={`Kill node ${sid}: it refuses every call until you revive it`}
        tone="danger"
        testId={`kill-node-${sid}`}
      />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      <span className="split split-danger" role="group" aria-label={`Other ways to break node ${sid}`}>
        <FaultIcon
          fault={nodeFaultOf(sid, "crash")}
          icon="bolt"
          title={`Crash node ${sid}: it loses its memory and starts again from its log`}
          testId={`crash-node-${sid}`}
        />
        <FaultIcon
          fault={nodeFaultOf(sid, "pause")}
          icon="pause"
          title={`Pause node ${sid}: it stops and keeps its memory, for a minute or until you resume it`}
          testId={`pause-node-${sid}`}
        />
        <FaultIcon
          fault={nodeFaultOf(sid, "isolate")}
          icon="cut"
          title={`Cut node ${sid} off: all messages from and to it are lost, for a minute or until you reconnect it`}
          testId={`isolate-node-${sid}`}
        />
      </span>
    </span>
  );
}

function endOf(
  node: NodeState,
  look: Look,
  faults: readonly FaultView[],
): { label: string; action: FaultAction } | undefined {
  const holds = (name: string) => faults.some(({ fault }) => fault === name);
  if (holds("kill")) return { label: "Revive", action: "heal" };
  if (holds("pause")) return { label: "Resume", action: "resume" };
  if (holds("isolate") || look === "cut") return { label: "Reconnect", action: "rejoin" };
  // another fault, or it is down without one
  return faults.length > 0 || !node.up ? { label: "Heal", action: "heal" } : undefined;
}

function roleWords(node: NodeState, look: Look, faults: readonly FaultView[]): string {
  if (look === "paused") return "Paused";
  if (!node.up) return faults.some(({ fault }) => fault === "kill") ? "Killed" : "Down";
  if (look === "cut") return "Cut off";
  if (look === "leader") return "Leader";
  if (node.role === "LEADING") return "Forming a quorum";
  if (node.role === "LOOKING") return "Looking";
  return node.phase === "BROADCAST" ? "Follower" : "Catching up";
}
