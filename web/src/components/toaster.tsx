import { useEffect } from "react";
import { useLive } from "../hooks/live-store.ts";
import { copyText } from "../hooks/use-fault.ts";
import { Icon } from "./icon.tsx";

const SHOWN_MS = 6_000;

/** The last thing done, with the command that does the same. */
export function Toaster() {
  const toast = useLive((live) => live.toast);
  useEffect(() => {
    if (!toast) return;
    const timer = setTimeout(() => useLive.setState({ toast: null }), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast]);
  return (
    <div className="toaster" role="status">
      {toast && (
        <div key={toast.number} className={`toast${toast.bad ? " toast-bad" : ""}`}>
          <p>
            {toast.text}{" "}
            {toast.undo && (
              <button type="button" className="button-link" onClick={toast.undo.run}>
                {toast.undo.label}
              </button>
            )}
          </p>
          {toast.curl && (
            <div className="toast-curl">
              <code>{toast.curl}</code>
              <button
                type="button"
                className="button button-icon"
                aria-label="Copy the command"
                onClick={() => copyText(toast.curl ?? "")}
              >
                <Icon name="copy" size={14} />
              </button>
            </div>
          )}
          <button
            type="button"
            className="button button-icon toast-close"
            aria-label="Close the message"
            onClick={() => useLive.setState({ toast: null })}
          >
            <Icon name="close" size={14} />
          </button>
        </div>
      )}
    </div>
  );
}
