/** Round trips between all nodes, including nodes that are down. */
import { memo } from "react";
import type { NodeState, PingReport } from "../../api/types.ts";
import { useLiveEvery } from "../../store/use-live-every.ts";
import { Panel } from "../../ui/panel.tsx";
import { ScrollRegion } from "../../ui/scroll-region.tsx";
import { viewOf } from "./slice.ts";

/** A table of the last round trip of each pair of nodes. */
export const PingPanel = memo(function PingPanel() {
  const state = useLiveEvery(1_000, viewOf);
  if (state === undefined) return null;
  return (
    <Panel title="Pings" area="pings" hint="Round trips in ms: the row's node asks, the column's answers.">
      <ScrollRegion className="scroll-x" label="Round trips between the nodes">
        <table className="pings" data-testid="ping-table">
          <thead>
            <tr>
              <th scope="col">
                <span className="sr-only">from, to</span>
              </th>
              {state.nodes.map((node) => (
                <th key={node.sid} scope="col" className={node.up ? "" : "is-down"}>
                  {node.sid}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {state.nodes.map((from) => (
              <tr key={from.sid}>
                <th scope="row" className={from.up ? "" : "is-down"}>
                  {from.sid}
                </th>
                {state.nodes.map((to) => (
                  <Cell key={to.sid} from={from} to={to} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollRegion>
    </Panel>
  );
});

function Cell({ from, to }: { from: NodeState; to: NodeState }) {
  if (from.sid === to.sid) return <td className="ping-self">·</td>;
  if (!from.up) return <td className="ping-none">down</td>;
  const ping = from.pings.find((report) => report.sid === to.sid);
  if (!ping) return <td className="ping-none">–</td>;
  if (ping.rttMs !== null) return <td className={speed(ping.rttMs)}>{showMs(ping.rttMs)}</td>;
  return <td className={to.up ? "ping-none" : "ping-lost"}>{silence(ping, to)}</td>;
}

const speed = (rttMs: number): string => (rttMs < 50 ? "ping-good" : rttMs < 250 ? "ping-slow" : "ping-bad");

const showMs = (ms: number): string => (ms < 10 ? ms.toFixed(1) : String(Math.round(ms)));

/** Followers ping only their leader, so silence between two followers is no fault. */
function silence(ping: PingReport, to: NodeState): string {
  if (ping.heardMsAgo === null) return to.up ? "–" : "lost";
  const seconds = Math.round(ping.heardMsAgo / 1000);
  if (to.up) return seconds < 2 ? "heard" : `${seconds} s ago`;
  if (seconds < 1) return "lost";
  return seconds < 100 ? `lost ${seconds} s` : `lost ${Math.round(seconds / 60)} min`;
}
