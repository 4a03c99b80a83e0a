/** A notice, always visible: the API does not answer, or the ensemble does not exist; and the age of what is shown. */
import { useEffect, useState } from "react";
import { ApiProblem } from "../api/http.ts";
import { useLive } from "../store/live-context.ts";

/** Whether the API has answered that the ensemble does not exist. */
export const isUnknownEnsemble = (problem: Error | null): boolean =>
  problem instanceof ApiProblem && problem.code === "UNKNOWN_ENSEMBLE";

/** Shows why the state cannot be read; nothing while it can. */
export function ApiNotice() {
  const problem = useLive((live) => live.problem);
  if (problem === null) return null;
  if (isUnknownEnsemble(problem))
    return (
      <div className="notice" role="alert" data-testid="api-down">
        <strong>There is no such ensemble.</strong> {sentence(problem.message)}{" "}
        <a href="#/">Show the default ensemble</a>
      </div>
    );
  const unreachable = problem instanceof ApiProblem && problem.status === 0;
  return (
    <div className="notice" role="alert" data-testid="api-down">
      <strong>
        {unreachable ? "The API does not answer." : "The API cannot show the state of the ensemble."}
      </strong>{" "}
      {!unreachable && sentence(problem.message)} <Age /> Trying again every second.
    </div>
  );
}

const sentence = (text: string): string =>
  text === "" ? "" : `${text[0]?.toUpperCase() ?? ""}${text.slice(1).replace(/\.$/, "")}.`;

/** Age of the state that is shown. */
function Age() {
  const answeredMs = useLive((live) => live.answeredMs);
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  if (answeredMs === null) return null;
  const seconds = Math.max(0, Math.round((nowMs - answeredMs) / 1_000));
  return (
    // screen readers announce it once, not every second
    <span aria-live="off" data-testid="age">
      What you see is {seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`} old.
    </span>
  );
}
