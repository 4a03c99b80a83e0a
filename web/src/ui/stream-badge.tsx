import type { StreamState } from "../api/live-socket.ts";

/** State of a stream: live, or why not. */
export function StreamBadge({ state }: { state: StreamState }) {
  if (state.type === "live") return <span className="stream stream-live">live</span>;
  if (state.type === "idle") return <span className="stream">waiting</span>;
  if (state.type === "connecting") return <span className="stream">connecting</span>;
  return (
    <span className="stream stream-waiting" title={`${state.reason}; try ${state.attempt}`}>
      reconnecting
    </span>
  );
}
