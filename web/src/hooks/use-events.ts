/** Keeps the event ring fed and the ensemble's status fresh while the page is visible. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { EVENTS_PATH } from "../api/calls.ts";
import { runStream } from "../api/sse-stream.ts";
import type { EnsembleState, ProtocolEvent } from "../api/types.ts";
import { changesStatus, foldEvent } from "../model/ensemble-view.ts";
import { Liveness } from "../model/liveness.ts";
import { foldOutage } from "../model/outage.ts";
import { emitEvents, useLive } from "./live-store.ts";
import { usePageVisible } from "./use-page-visible.ts";
import { ensembleKey } from "./use-status.ts";

/** Events that arrive together are drawn together. */
const DRAW_MS = 80;
/** A fresh status is asked for at most this often beside the poll. */
const REFRESH_MS = 150;

export function useEvents(base: string): void {
  const client = useQueryClient();
  const visible = usePageVisible();
  useEffect(() => {
    // Nodes do no work for events that nobody watches: a hidden page listens to none.
    if (!visible) return;
    const end = new AbortController();
    let lastEventId: string | undefined;
    const liveness = new Liveness();
    let waiting: ProtocolEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let refresh: ReturnType<typeof setTimeout> | undefined;

    const draw = () => {
      timer = undefined;
      const { ring } = useLive.getState();
      const fresh = waiting.filter((event) => ring.push(event));
      waiting = [];
      if (fresh.length === 0) return;
      useLive.setState({ ringVersion: ring.version });
      // The log shows what the stream repeats; the ring only what happens.
      const live = liveness.live(
        fresh.filter((event) => event.type !== "gap"),
        Date.now(),
      );
      noteOutage(live, client.getQueryData<EnsembleState>(ensembleKey(base))?.leader ?? null);
      client.setQueryData<EnsembleState>(
        ensembleKey(base),
        (state) => state && live.reduce(foldEvent, state),
      );
      emitEvents(live);
      if (!live.some(changesStatus)) return;
      refresh ??= setTimeout(() => {
        refresh = undefined;
        void client.invalidateQueries({ queryKey: ensembleKey(base) });
      }, REFRESH_MS);
    };

    void runStream({
      signal: end.signal,
      retryMsMax: 2_000,
      request: () => ({ url: base + EVENTS_PATH, lastEventId }),
      onMessage: (message) => {
        if (message.id !== "") lastEventId = message.id;
        if (message.event === "gap")
          waiting.push({ ...(JSON.parse(message.data) as ProtocolEvent), at: Date.now(), type: "gap" });
        else waiting.push(JSON.parse(message.data) as ProtocolEvent);
        timer ??= setTimeout(draw, DRAW_MS);
      },
      onState: (eventsStream) => {
        if (eventsStream.type === "connecting") liveness.reset();
        useLive.setState({ eventsStream });
      },
    });
    return () => {
      end.abort();
      clearTimeout(timer);
      clearTimeout(refresh);
    };
  }, [base, client, visible]);
}

function noteOutage(events: readonly ProtocolEvent[], leader: number | null): void {
  const { outage } = useLive.getState();
  const next = events.reduce((now, event) => foldOutage(now, event, leader), outage);
  if (next !== outage) useLive.setState({ outage: next });
}
