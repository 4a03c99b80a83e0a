/** Creates the store of one ensemble and feeds it while the page is open. */
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { TOPIC } from "../api/calls.ts";
import { usePageVisible } from "../hooks/use-page-visible.ts";
import { type Feed, startFeed } from "./feed.ts";
import { LiveContext, useLive } from "./live-context.ts";
import { createLiveStore } from "./live-store.ts";

/** Give it `key={base}`: another ensemble has another store. */
export function LiveProvider({ base, children }: { readonly base: string; readonly children: ReactNode }) {
  const [store] = useState(createLiveStore);
  const [feed, setFeed] = useState<Feed>();
  useEffect(() => {
    const started = startFeed(base, store);
    setFeed(started);
    return () => started.close();
  }, [base, store]);
  const live = useMemo(() => ({ base, store, feed }), [base, store, feed]);
  return (
    <LiveContext value={live}>
      <Watched feed={feed} />
      {children}
    </LiveContext>
  );
}

/** Tells the feed what is needed: nothing while the page is hidden, goals once their topic exists. */
function Watched({ feed }: { readonly feed: Feed | undefined }) {
  const visible = usePageVisible();
  useEffect(() => feed?.setVisible(visible), [feed, visible]);
  const hasGoals = useHasGoals();
  useEffect(() => feed?.setHasGoals(hasGoals), [feed, hasGoals]);
  return null;
}

/** Whether the topic exists; also true if that is not known: then the stream reports why it cannot be read. */
function useHasGoals(): boolean {
  // once a stream is open, a list of topics that is incomplete for a while does not end it
  return useLive(
    ({ cluster, goalsStream, clusterProblem }) =>
      (goalsStream.type !== "idle" && goalsStream.type !== "connecting") ||
      (cluster ? cluster.topics.some((topic) => topic.name === TOPIC) : clusterProblem !== undefined),
  );
}
