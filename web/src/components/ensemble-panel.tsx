import type { EnsembleState } from "../api/types.ts";
import { useLive } from "../hooks/live-store.ts";
import { narrate } from "../model/narrate.ts";
import type { PacketKind } from "../model/packets.ts";
import { EnsembleRing } from "./ensemble-ring.tsx";
import { PACKET_SHAPES } from "./packet-layer.tsx";
import { Panel } from "./panel.tsx";

const LEGEND: readonly (readonly [PacketKind, string, string])[] = [
  ["PROPOSAL", "proposal", "the leader sends a write to its followers"],
  ["ACK", "ack", "a follower has stored it"],
  ["COMMIT", "commit", "a quorum has it: it counts"],
  ["VOTE", "vote", "a node without a leader says whom it would follow"],
  ["SYNC", "sync", "the leader brings a node up to date"],
  ["PING", "ping", "are you there?"],
];

export function EnsemblePanel({ state }: { state: EnsembleState }) {
  return (
    <Panel title="Ensemble" area="ensemble">
      <Story state={state} />
      <EnsembleRing state={state} />
      <ul className="legend" aria-label="What flies between the nodes">
        {LEGEND.map(([kind, word, meaning]) => (
          <li key={kind} title={meaning}>
            <svg viewBox="-8 -8 16 16" width="13" height="13" aria-hidden="true">
              <path className={`packet packet-${kind}`} d={PACKET_SHAPES[kind]} />
            </svg>
            {word}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const showTime = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`);

/** What is happening, in words. */
function Story({ state }: { state: EnsembleState }) {
  const { tone, title, text } = narrate(state);
  const outage = useLive((live) => live.outage);
  const healed = outage?.untilMs != null ? showTime(outage.untilMs - outage.sinceMs) : null;
  return (
    <div className={`story story-${tone}`}>
      <p className="story-title" data-testid="leader" data-sid={state.leader ?? ""}>
        {title}
      </p>
      {tone === "broken" ? <p data-testid="no-quorum-reason">{text}</p> : <p>{text}</p>}
      {tone === "calm" && healed && (
        <p className="story-note" title="From the first broken link to the new leader">
          The last change of leader took {healed}.
        </p>
      )}
    </div>
  );
}
