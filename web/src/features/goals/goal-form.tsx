/** Posts goals through the brokers. They wait in a queue, and each keeps its key until it is stored. */
import { type FormEvent, type RefObject, useEffect, useRef, useState } from "react";
import type { Goal } from "../../api/types.ts";
import { useLive, useLiveEnsemble } from "../../store/live-context.ts";
import { showToast } from "../../store/live-store.ts";
import { Icon } from "../../ui/icon.tsx";
import { showTime } from "../../ui/show-time.ts";
import { type Flight, QUEUE_MAX, type Stored } from "./post-queue.ts";
import { sampleGoal } from "./sample-goals.ts";

/** The automatic producer pauses while so many goals wait. */
const AUTO_WAITING_MAX = 3;
const AUTO_MS = 1_000;
/** Wait after which the form reports that the answer is late, ms. */
const SLOW_MS = 900;

let samples = 0;

function nextSample(): Goal {
  samples += 1;
  return sampleGoal(Math.random, samples);
}

interface Props {
  readonly playerInput: RefObject<HTMLInputElement | null>;
}

/** The form that posts goals, and the state of the queue. */
export function GoalForm({ playerInput }: Props) {
  const [goal, setGoal] = useState<Goal>(nextSample);
  const [broker, setBroker] = useState("auto");
  const [auto, setAuto] = useState(false);
  const { store, feed } = useLiveEnsemble();
  const flights = useLive((state) => state.flights);
  const stored = useLive((state) => state.stored);
  const waiting = useRef(0);
  waiting.current = flights.length;
  const through = broker === "auto" ? broker : Number(broker);

  useEffect(() => {
    if (!auto) return;
    const timer = setInterval(() => {
      if (waiting.current < AUTO_WAITING_MAX) feed?.post(nextSample(), through);
    }, AUTO_MS);
    return () => clearInterval(timer);
  }, [auto, feed, through]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (feed?.post(goal, through)) setGoal(nextSample());
    else
      showToast(store, `${QUEUE_MAX} goals wait already: post this one when some are stored.`, { bad: true });
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
        <BrokerChoice value={broker} onChange={setBroker} />
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

function BrokerChoice(props: { value: string; onChange: (value: string) => void }) {
  const cluster = useLive((live) => live.cluster);
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
  const [first] = flights;
  const nowMs = useNow(first !== undefined);
  const others = flights.length > 1 ? `; ${flights.length - 1} more wait` : "";
  const who = first === undefined ? "" : `${first.goal.Player} (${first.goal.Minute}′)`;
  if (first?.reason) {
    return (
      <span className="is-waiting">
        {who}: {first.reason}. Attempt {first.attempt}, same key{others}.
      </span>
    );
  }
  if (first !== undefined && nowMs - first.sinceMs > SLOW_MS) {
    return (
      <span className="is-waiting">
        {who}: no answer yet after {Math.round((nowMs - first.sinceMs) / 1_000)} s{others}.
      </span>
    );
  }
  if (stored) {
    return (
      <span>
        <Icon name="check" size={12} /> {stored.goal.Player} stored after {showTime(stored.ms)}
        {stored.attempts > 1 ? ` and ${stored.attempts} attempts, exactly once` : ""}
        {others}.
      </span>
    );
  }
  return <span>A goal is stored when a quorum of nodes and the partition have it.</span>;
}

/** The time, updated twice a second while `wanted`. */
function useNow(wanted: boolean): number {
  const [nowMs, setNowMs] = useState(0);
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(() => setNowMs(performance.now()), 500);
    return () => clearInterval(timer);
  }, [wanted]);
  return nowMs;
}
