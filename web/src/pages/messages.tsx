/** The last action with its command, and the armed key, in a place that is reserved for them. */
import { useEffect } from "react";
import { disarm, fire, useDisarm } from "../features/faults/armed-key.ts";
import { copyText } from "../store/copy-text.ts";
import { useLive, useLiveStore } from "../store/live-context.ts";
import { Icon } from "../ui/icon.tsx";

const SHOWN_MS = 8_000;

/** Shows the armed key or the last message; only one of them at a time. */
export function Messages() {
  const store = useLiveStore();
  const toast = useLive((live) => live.toast);
  const armed = useLive((live) => live.armed);
  useDisarm();
  useEffect(() => {
    if (!toast) return;
    const timer = setTimeout(() => store.setState({ toast: null }), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [store, toast]);
  return (
    <div className="messages" role="status">
      {armed ? (
        <div className="toast toast-armed" data-testid="armed">
          <p>
            Press <kbd>{armed.key.toUpperCase()}</kbd> again or <kbd>Enter</kbd> to {armed.what}.
          </p>
          <button type="button" className="button-link" onClick={() => fire(store)}>
            Do it
          </button>
          <button type="button" className="button-link" onClick={() => disarm(store)}>
            Cancel
          </button>
        </div>
      ) : (
        toast && (
          <div key={toast.number} className={`toast${toast.bad ? " toast-bad" : ""}`} data-testid="toast">
            <p title={toast.text}>{toast.text}</p>
            {toast.undo && (
              <button type="button" className="button-link" onClick={toast.undo.run}>
                {toast.undo.label}
              </button>
            )}
            {toast.curl && (
              <>
                <code title={toast.curl}>{toast.curl}</code>
                <button
                  type="button"
                  className="button button-icon"
                  aria-label="Copy the command"
                  onClick={() => void copyText(store, toast.curl ?? "")}
                >
                  <Icon name="copy" size={14} />
                </button>
              </>
            )}
            <button
              type="button"
              className="button button-icon"
              aria-label="Close the message"
              onClick={() => store.setState({ toast: null })}
            >
              <Icon name="close" size={14} />
            </button>
          </div>
        )
      )}
    </div>
  );
}
