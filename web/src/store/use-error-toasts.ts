/** Shows uncaught errors of the page, so that no click fails silently. */
import { useEffect } from "react";
import { ApiProblem } from "../api/http.ts";
import { useLiveStore } from "./live-context.ts";
import { showToast } from "./live-store.ts";

/** Shows each uncaught error as a message. */
export function useErrorToasts(): void {
  const store = useLiveStore();
  useEffect(() => {
    const show = (error: unknown): void => {
      if (error instanceof DOMException && error.name === "AbortError") return;
      const text = error instanceof ApiProblem || error instanceof Error ? error.message : String(error);
      showToast(store, `Something went wrong on this page: ${text}.`, { bad: true });
    };
    const onRejection = ({ reason }: PromiseRejectionEvent) => show(reason);
    const onError = ({ error, message }: ErrorEvent) => {
      // a note of the browser about its own timing, not a failure
      if (!message.startsWith("ResizeObserver")) show(error ?? message);
    };
    addEventListener("unhandledrejection", onRejection);
    addEventListener("error", onError);
    return () => {
      removeEventListener("unhandledrejection", onRejection);
      removeEventListener("error", onError);
    };
  }, [store]);
}
