/** Posts a goal through a broker, and keeps at it with the same key while there is no quorum. */
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type RefObject, useCallback, useEffect, useRef, useState } from "react";
import { TOPIC } from "../api/calls.ts";
import { ApiProblem } from "../api/http.ts";
import { postGoal } from "../api/post-goal.ts";
import type { ClusterState, EnsembleState, Goal } from "../api/types.ts";
import { showToast } from "../hooks/live-store.ts";
import { clusterKey, ensembleKey } from "../hooks/use-status.ts";
import { sampleGoal } from "../model/sample-goals.ts";
import { Icon } from "./icon.tsx";

/** Goals on their way at once; beyond it the automatic producer waits. */
const IN_FLIGHT_MAX = 4;
const AUTO_MS = 1_000;
/** An answer that takes longer is worth a word. */
const SLOW_MS = 900;

let samples = 0;

function nextSample(): Goal {
  samples += 1;
  return sampleGoal(Math.random, samples);
}

interface Flight {
  readonly key: string;
  readonly goal: Goal;
  readonly attempt: number;
  readonly reason: string | null;
  readonly sinceMs: number;
}

interface Props {
  readonly base: string;
  readonly playerInput: RefObject<HTMLInputElement | null>;
}

export function GoalForm({ base, playerInput }: Props) {
  const [goal, setGoal] = useState<Goal>(nextSample);
  const [broker, setBroker] = useState("auto");
  const [auto, setAuto] = useState(false);
  const { post, flights, stored } = usePost(base, broker);
  const flying = useRef(0);
  flying.current = flights.length;

  useEffect(() => {
    if (!auto) return;
    const timer = setInterval(() => {
      if (flying.current < IN_FLIGHT_MAX) void post(nextSample());
    }, AUTO_MS);
    return () => clearInterval(timer);
  }, [auto, post]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void post(goal);
    setGoal(nextSample());
  };
  const set = (part: Partial<Goal>) => setGoal((now) => ({ ...now, ...part }));

  return (
    <form className="goal-form" onSubmit={submit} aria-label="Post a goal" data-testid="goal-form">
      <label className="field field-minute">
        <span>Minute</span>
        <input
          type="number"
          min={1}
          max={130}
          required
          value={goal.Minute}
          onChange={(event) => set({ Minute: event.target.valueAsNumber || 0 })}
        />
      </label>
      <label className="field field-player">
        <span>Player</span>
        <input
          ref={playerInput}
          required
          maxLength={60}
          value={goal.Player}
          onChange={(event) => set({ Player: event.target.value })}
        />
      </label>
      <label className="field field-club">
        <span>Club</span>
        <input
          required
          maxLength={24}
          value={goal.Club}
          onChange={(event) => set({ Club: event.target.value })}
        />
      </label>
      <label className="field field-score">
        <span>Score</span>
        <input
          required
          maxLength={9}
          pattern="\d+\s*[\-:]\s*\d+"
          title="Two numbers, such as 2-1"
          value={goal.Score}
          onChange={(event) => set({ Score: event.target.value })}
        />
      </label>
      <div className="goal-form-foot">
        <BrokerChoice base={base} value={broker} onChange={setBroker} />
        <label className="switch">
          <input type="checkbox" checked={auto} onChange={(event) => setAuto(event.target.checked)} />
          <span>one a second</span>
        </label>
        <button type="submit" className="button button-primary" data-testid="post-goal">
          Post goal
        </button>
      </div>
      <p className="goal-form-status" role="status">
        <FlightLine flights={flights} stored={stored} />
      </p>
    </form>
  );
}

function BrokerChoice(props: { base: string; value: string; onChange: (value: string) => void }) {
  const cluster = useQueryClient().getQueryData<ClusterState>(clusterKey(props.base));
  return (
    <label className="choice">
      <span className="sr-only">through</span>
      <select value={props.value} onChange={(event) => props.onChange(event.target.value)}>
        <option value="auto">any broker</option>
        {cluster?.brokers.map((broker) => (
          <option key={broker.id} value={broker.id}>
            broker {broker.id}
            {broker.up ? "" : " (down)"}
          </option>
        ))}
      </select>
    </label>
  );
}

function FlightLine({ flights, stored }: { flights: readonly Flight[]; stored: Stored | null }) {
  const nowMs = useNow(flights.length > 0);
  const others = flights.length > 1 ? ` and ${flights.length - 1} more` : "";
  const slow = flights.find((flight) => nowMs - flight.sinceMs > SLOW_MS);
  const stuck = flights.find((flight) => flight.reason !== null);
  if (slow && !stuck) {
    return (
      <span className="is-waiting">
        {slow.goal.Player} ({slow.goal.Minute}′){others}: no answer yet after{" "}
        {Math.round((nowMs - slow.sinceMs) / 1_000)} s.
      </span>
    );
  }
  if (stuck) {
    return (
      <span className="is-waiting">
        {stuck.goal.Player} ({stuck.goal.Minute}′){others}: {stuck.reason}. Attempt {stuck.attempt}, same key.
      </span>
    );
  }
  if (stored) {
    return (
      <span>
        <Icon name="check" size={12} /> {stored.player} stored after {stored.ms} ms
        {stored.attempts > 1 ? ` and ${stored.attempts} attempts, once` : ""}.
      </span>
    );
  }
  return <span>A goal counts once a quorum of nodes and the partition have it.</span>;
}

/** The time, twice a second, while it is wanted. */
function useNow(wanted: boolean): number {
  const [nowMs, setNowMs] = useState(0);
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(() => setNowMs(performance.now()), 500);
    return () => clearInterval(timer);
  }, [wanted]);
  return nowMs;
}

interface Stored {
  readonly player: string;
  readonly ms: number;
  readonly attempts: number;
}

function usePost(base: string, chosen: string) {
  const client = useQueryClient();
  const [flights, setFlights] = useState<readonly Flight[]>([]);
  const [stored, setStored] = useState<Stored | null>(null);
  const left = useRef<AbortController>(undefined);
  useEffect(() => {
    const controller = new AbortController();
    left.current = controller;
    return () => controller.abort();
  }, []);

  const post = useCallback(
    async (goal: Goal) => {
      const key = crypto.randomUUID();
      const startedMs = performance.now();
      const signal = left.current?.signal ?? AbortSignal.abort();
      try {
        const attempts = await postGoal({
          base,
          goal,
          key,
          signal,
          target: () =>
            pickTarget(client.getQueryData(clusterKey(base)), client.getQueryData(ensembleKey(base)), chosen),
          onTry: ({ attempt, reason }) =>
            setFlights((now) => [
              ...now.filter((flight) => flight.key !== key),
              { key, goal, attempt, reason, sinceMs: startedMs },
            ]),
        });
        const cluster = client.getQueryData<ClusterState>(clusterKey(base));
        if (!cluster?.topics.some((topic) => topic.name === TOPIC)) {
          void client.invalidateQueries({ queryKey: clusterKey(base) });
        }
        setStored({ player: goal.Player, ms: Math.round(performance.now() - startedMs), attempts });
      } catch (error) {
        if (signal.aborted) return;
        const hint =
          error instanceof ApiProblem && error.status === 401 ? " Enter the access token under Help." : "";
        showToast(
          `The goal was refused: ${error instanceof Error ? error.message : "unknown error"}.${hint}`,
          { bad: true },
        );
      } finally {
        setFlights((now) => now.filter((flight) => flight.key !== key));
      }
    },
    [base, chosen, client],
  );
  return { post, flights, stored };
}

/** A broker and a node that live, at random; the chosen broker even if it is down. */
function pickTarget(cluster: ClusterState | undefined, ensemble: EnsembleState | undefined, chosen: string) {
  const brokers = cluster?.brokers ?? [];
  const live = brokers.filter((broker) => broker.up).map((broker) => broker.id);
  const nodes = (ensemble?.nodes ?? []).filter((node) => node.up).map((node) => node.sid);
  return {
    broker: chosen === "auto" ? (anyOf(live) ?? brokers[0]?.id ?? 0) : Number(chosen),
    sid: anyOf(nodes) ?? 1,
    brokers: brokers.map((broker) => broker.id),
  };
}

const anyOf = (items: readonly number[]): number | undefined =>
  items[Math.floor(Math.random() * items.length)];
