/** Feeds the store while the page is open. */
import { useEffect, useState } from "react";
import { TOPIC } from "../api/calls.ts";
import { ApiProblem } from "../api/http.ts";
import { usePageVisible } from "../hooks/use-page-visible.ts";
import { type Live, startLive } from "./feed.ts";
import { resetLive, showToast, useLive } from "./live-store.ts";

export function useLiveData(base: string): Live | undefined {
  const [live, setLive] = useState<Live>();
  const visible = usePageVisible();
  useEffect(() => {
    const started = startLive(base);
    setLive(started);
    return () => {
      started.close();
      resetLive();
    };
  }, [base]);
  useEffect(() => live?.setVisible(visible), [live, visible]);
  const hasGoals = useHasGoals();
  useEffect(() => live?.setHasGoals(hasGoals), [live, hasGoals]);
  useEffect(sayWhatFails, []);
  return live;
}

/** Whether the topic exists. When that cannot be told, yes: the stream then says what is the matter. */
function useHasGoals(): boolean {
  // Once found, a list of topics that is short for a while ends no stream.
  return useLive(
    ({ cluster, goalsStream, clusterProblem }) =>
      (goalsStream.type !== "idle" && goalsStream.type !== "connecting") ||
      (cluster ? cluster.topics.some((topic) => topic.name === TOPIC) : clusterProblem !== undefined),
  );
}

/** No click fails silently: uncaught errors are shown. */
function sayWhatFails(): () => void {
  const tell = (error: unknown): void => {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const text = error instanceof ApiProblem || error instanceof Error ? error.message : String(error);
    showToast(`Something went wrong on this page: ${text}.`, { bad: true });
  };
  const onRejection = ({ reason }: PromiseRejectionEvent) => tell(reason);
  const onError = ({ error, message }: ErrorEvent) => {
    // a browser's note about its own timing, not a failure
    if (!message.startsWith("ResizeObserver")) tell(error ?? message);
  };
  addEventListener("unhandledrejection", onRejection);
  addEventListener("error", onError);
  return () => {
    removeEventListener("unhandledrejection", onRejection);
    removeEventListener("error", onError);
  };
}
