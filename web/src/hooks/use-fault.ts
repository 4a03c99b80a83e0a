/** Sends a fault and says what was sent. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiProblem, send, toProblem, withToken } from "../api/http.ts";
import { type ApiCall, toCurl } from "../model/curl.ts";
import { showToast } from "./live-store.ts";
import { clusterKey, ensembleKey, faultsKey } from "./use-status.ts";

export interface Fault {
  readonly call: ApiCall;
  /** What was done, e.g. "Killed node 2." */
  readonly done: string;
  /** What mends it, and the word for that. */
  readonly undo?: { readonly label: string; readonly fault: Fault };
}

/** The call as a command for a shell. */
export const curlOf = (base: string, call: ApiCall): string =>
  toCurl(`${location.origin}${base}`, withToken(call));

export function useFault(base: string) {
  const client = useQueryClient();
  const mutation = useMutation({
    mutationFn: async ({ call }: Fault) => {
      const response = await send(base, call);
      if (!response.ok) throw await toProblem(response);
    },
    onSuccess: (_, { call, done, undo }) =>
      showToast(done, {
        curl: curlOf(base, call),
        undo: undo && { label: undo.label, run: () => mutation.mutate(undo.fault) },
      }),
    onError: (error, { call }) => {
      const hint =
        error instanceof ApiProblem && error.status === 401 ? " Enter the access token under Help." : "";
      showToast(`${call.path}: ${error.message}.${hint}`, { bad: true });
    },
    onSettled: () => {
      void client.invalidateQueries({ queryKey: ensembleKey(base) });
      void client.invalidateQueries({ queryKey: clusterKey(base) });
      void client.invalidateQueries({ queryKey: faultsKey(base) });
    },
  });
  return mutation;
}

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    showToast("Copied to the clipboard.", { curl: text });
  } catch {
    showToast("The clipboard is not available; here is the command.", { curl: text });
  }
}
