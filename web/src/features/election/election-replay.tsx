/** The last election in slow motion: the events that the nodes recorded, one step after the other. */
import { useEffect, useMemo, useRef, useState } from "react";
import type { EnsembleState, ProtocolEvent } from "../../api/types.ts";
import { useReducedMotion } from "../../hooks/use-reduced-motion.ts";
import { useLiveStore } from "../../store/live-context.ts";
import { Icon } from "../../ui/icon.tsx";
import { EnsembleRing } from "../ensemble/ensemble-ring.tsx";
import { foldEvent } from "../ensemble/ensemble-view.ts";
import { FAULTS_UNKNOWN } from "../faults/faults-known.ts";
import { describeEvent } from "../log/describe-event.ts";
import { clockOf, type Election, framesOf, stateBefore } from "./election.ts";

/** Replays `election` on the ring, step by step. */
export function ElectionReplay({ election, view }: { election: Election; view: EnsembleState }) {
  const store = useLiveStore();
  const frames = useMemo(() => framesOf(election), [election]);
  const start = useMemo(() => stateBefore(election, view), [election, view.size]);
  const still = useReducedMotion();
  const [step, setStep] = useState(0);
  const [playing, setPlaying] = useState(!still);
  const bus = useRef(new Bus());

  const frame = frames[step];
  const next = frames[step + 1];
  useEffect(() => {
    if (frame) bus.current.emit(frame.events);
  }, [frame]);
  useEffect(() => {
    if (!playing || !frame || !next) return;
    const timer = setTimeout(() => setStep(step + 1), next.showMs - frame.showMs);
    return () => clearTimeout(timer);
  }, [playing, frame, next, step]);

  const state = useMemo(
    () => frames.slice(0, step + 1).reduce((now, { events }) => events.reduce(foldEvent, now), start),
    [frames, step, start],
  );
  const close = () => store.setState({ replaying: false });
  const go = (to: number) => {
    setPlaying(false);
    setStep(Math.max(0, Math.min(frames.length - 1, to)));
  };
  return (
    <>
      <section
        className="story story-busy replay"
        aria-label="The last election, slowly"
        data-testid="replay"
      >
        <div className="replay-head">
          <p className="story-title">The last election, slowly: {clockOf(election, frame?.atMs ?? 0)}</p>
          <button type="button" className="button" onClick={close} data-testid="close-replay">
            <Icon name="close" size={14} /> Back to now
          </button>
        </div>
        <progress
          className="replay-bar"
          max={frames.length - 1}
          value={step}
          aria-label="How far it is"
          data-testid="replay-bar"
        />
        <p className="replay-words" aria-live="polite">
          {frame?.events.slice(0, WORDS_MAX).map((event) => (
            <span key={event.id}>
              Node {event.sid}: {describeEvent(event)}.{" "}
            </span>
          ))}
          {frame && frame.events.length > WORDS_MAX && `And ${frame.events.length - WORDS_MAX} more.`}
        </p>
        <div className="replay-keys">
          <button type="button" className="button" onClick={() => go(step - 1)} disabled={step === 0}>
            Back
          </button>
          <button
            type="button"
            className="button"
            onClick={() => {
              if (!next) setStep(0);
              setPlaying(!next || !playing);
            }}
          >
            <Icon name={playing && next ? "pause" : "play"} size={14} /> {playing && next ? "Pause" : "Play"}
          </button>
          <button type="button" className="button" onClick={() => go(step + 1)} disabled={!next}>
            Next
          </button>
        </div>
      </section>
      <EnsembleRing state={state} faults={FAULTS_UNKNOWN} events={bus.current.subscribe} />
    </>
  );
}

/** Events of one step that are described in words. */
const WORDS_MAX = 4;

type Listener = (events: readonly ProtocolEvent[]) => void;

/** Events of the replay, for the packets. */
class Bus {
  readonly #listeners = new Set<Listener>();

  readonly subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  emit(events: readonly ProtocolEvent[]): void {
    for (const listener of this.#listeners) listener(events);
  }
}
