import { memo, useMemo } from "react";
import type { EnsembleState } from "../../api/types.ts";
import { arrivalsOf } from "../../store/arrivals.ts";
import { useLive, useLiveStore } from "../../store/live-context.ts";
import { useLiveEvery } from "../../store/use-live-every.ts";
import { Panel } from "../../ui/panel.tsx";
import { showTime } from "../../ui/show-time.ts";
import { ElectionReplay } from "../election/election-replay.tsx";
import { EnsembleRing } from "./ensemble-ring.tsx";
import { looksSame } from "./ensemble-view.ts";
import { narrate } from "./narrate.ts";
import { PACKET_SHAPES } from "./packet-layer.tsx";
import type { PacketKind } from "./packets.ts";
import { viewOf } from "./slice.ts";

const LEGEND: readonly (readonly [PacketKind, string, string])[] = [
  ["PROPOSAL", "proposal", "the leader sends a write to its followers"],
  ["ACK", "ack", "a follower has stored it"],
  ["COMMIT", "commit", "a quorum has stored it"],
  ["VOTE", "vote", "a node without a leader names its candidate"],
  ["SYNC", "sync", "the leader brings a node up to date"],
  ["PING", "ping", "heartbeat"],
];

/** The ring with its story, or the replay of the last election. */
export const EnsemblePanel = memo(function EnsemblePanel() {
  const store = useLiveStore();
  const arrivals = useMemo(() => arrivalsOf(store), [store]);
  const state = useLiveEvery(0, viewOf, looksSame);
  const faults = useLive((live) => live.faults);
  const problem = useLive((live) => live.problem);
  const replayed = useLive((live) => (live.replaying ? live.election : null));
  return (
    <Panel title="Ensemble" area="ensemble">
      {state === undefined ? (
        <p className="empty">{problem ? "The ensemble cannot be shown." : "Asking the nodes…"}</p>
      ) : replayed !== null ? (
        <ElectionReplay election={replayed} view={state} />
      ) : (
        <>
          <Story state={state} />
          <EnsembleRing state={state} faults={faults} events={arrivals} />
        </>
      )}
      <ul className="legend" aria-label="Messages between the nodes">
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
});

/** The state of the ensemble in words. */
function Story({ state }: { state: EnsembleState }) {
  const faults = useLive((live) => live.faults);
  const paused = [...faults.ofNode]
    .filter(([, held]) => held.some(({ fault }) => fault === "pause"))
    .map(([sid]) => sid);
  const { tone, title, text } = narrate(state, paused);
  return (
    <div className={`story story-${tone}`}>
      <p className="story-title" data-testid="leader" data-sid={state.leader ?? ""}>
        {title}
      </p>
      {tone === "broken" ? <p data-testid="no-quorum-reason">{text}</p> : <p>{text}</p>}
      {tone === "calm" && <LastElection />}
    </div>
  );
}

/** Duration of the last change of leader, which is too short to be seen, and the button that replays it. */
function LastElection() {
  const outage = useLive((live) => live.outage);
  const election = useLive((live) => live.election);
  const store = useLiveStore();
  if (election !== null) {
    const withoutMs = election.sinceMs - election.lostMs;
    return (
      <p className="story-note" title="From the first broken link, or vote, to the new leader">
        {withoutMs > 0
          ? `Without a quorum for ${showTime(withoutMs)}; then the election took `
          : "The last election took "}
        {showTime(election.untilMs - election.sinceMs)}:{" "}
        <button
          type="button"
          className="button-link"
          data-testid="watch-election"
          onClick={() => store.setState({ replaying: true })}
        >
          watch it slowly
        </button>
      </p>
    );
  }
  if (outage === null || outage.untilMs === null) return null;
  return <p className="story-note">Without a leader for {showTime(outage.untilMs - outage.sinceMs)}.</p>;
}
