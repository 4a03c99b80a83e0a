/** Sends a fault, and shows what was sent. */
import { useState } from "react";
import { type ApiCall, toCurl } from "../../api/curl.ts";
import { ApiProblem, send, toProblem, withToken } from "../../api/http.ts";
import { useLiveEnsemble } from "../../store/live-context.ts";
import { showToast } from "../../store/live-store.ts";

/** A fault that a control injects or ends. */
export interface Fault {
  readonly call: ApiCall;
  /** What was done, e.g. "Killed node 2." */
  readonly done: string;
  /** The fault that ends it, with the label of its button. */
  readonly undo?: { readonly label: string; readonly fault: Fault };
}

/** The call as a shell command. */
export const curlOf = (base: string, call: ApiCall): string =>
  toCurl(`${location.origin}${base}`, withToken(call));

/** Time limit of an answer, ms: after it the outcome is unknown. */
const ANSWER_MS_MAX = 8_000;

/** A function that sends a fault and shows the result; `isPending` while one is outstanding. */
export function useFault(): { readonly inflict: (fault: Fault) => void; readonly isPending: boolean } {
  const { base, store, feed } = useLiveEnsemble();
  const [pending, setPending] = useState(0);
  const inflict = async (fault: Fault): Promise<void> => {
    const { call, done, undo } = fault;
    setPending((count) => count + 1);
    try {
      const response = await send(base, call, AbortSignal.timeout(ANSWER_MS_MAX));
      if (!response.ok) throw await toProblem(response);
      await response.text();
      showToast(store, done, {
        curl: curlOf(base, call),
        undo: undo && { label: undo.label, run: () => void inflict(undo.fault) },
      });
    } catch (error) {
      showToast(store, `${call.path}: ${wordsOf(error)}.`, { bad: true });
    } finally {
      setPending((count) => count - 1);
      feed?.refresh();
    }
  };
  return { inflict: (fault) => void inflict(fault), isPending: pending > 0 };
}

function wordsOf(error: unknown): string {
  if (error instanceof ApiProblem && error.status === 401)
    return `${error.message}. Enter the access token under Help`;
  if (error instanceof DOMException && error.name === "TimeoutError") return "there was no answer";
  return error instanceof Error ? error.message : String(error);
}
