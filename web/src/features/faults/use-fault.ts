/** Sends a fault and says what was sent. */
import { createContext, useContext, useState } from "react";
import { type ApiCall, toCurl } from "../../api/curl.ts";
import { ApiProblem, send, toProblem, withToken } from "../../api/http.ts";
import type { Live } from "../../store/feed.ts";
import { showToast } from "../../store/live-store.ts";

export interface Fault {
  readonly call: ApiCall;
  /** What was done, e.g. "Killed node 2." */
  readonly done: string;
  /** What mends it, and the word for that. */
  readonly undo?: { readonly label: string; readonly fault: Fault };
}

/** What feeds the page, for those who post and read; undefined before it has begun. */
export const LiveContext = createContext<Live | undefined>(undefined);

/** The call as a command for a shell. */
export const curlOf = (base: string, call: ApiCall): string =>
  toCurl(`${location.origin}${base}`, withToken(call));

/** A fault that has not been answered by then is one whose outcome is unknown. */
const ANSWER_MS_MAX = 8_000;

export function useFault(base: string): {
  readonly inflict: (fault: Fault) => void;
  readonly isPending: boolean;
} {
  const live = useContext(LiveContext);
  const [pending, setPending] = useState(0);
  const inflict = async (fault: Fault): Promise<void> => {
    const { call, done, undo } = fault;
    setPending((count) => count + 1);
    try {
      const response = await send(base, call, AbortSignal.timeout(ANSWER_MS_MAX));
      if (!response.ok) throw await toProblem(response);
      await response.text();
      showToast(done, {
        curl: curlOf(base, call),
        undo: undo && { label: undo.label, run: () => void inflict(undo.fault) },
      });
    } catch (error) {
      showToast(`${call.path}: ${wordsOf(error)}.`, { bad: true });
    } finally {
      setPending((count) => count - 1);
      live?.refresh();
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

/** Copies text; without a clipboard, as on an origin that is not secure, by a selection. */
export async function copyText(text: string): Promise<void> {
  const copied = await writeClipboard(text);
  showToast(copied ? "Copied to the clipboard." : "The clipboard is not available; here is the command.", {
    curl: text,
  });
}

async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
