import { type RefObject, useState } from "react";
import { readToken, storeToken } from "../api/http.ts";
import { setHotkeys, useHotkeySetting } from "../hooks/use-hotkeys.ts";
import { Icon } from "../ui/icon.tsx";

const KEYS: readonly (readonly [string, string])[] = [
  ["1 … 9", "select a node; again: deselect it"],
  ["k", "kill the selected node, or the leader"],
  ["c", "crash the selected node, or the leader"],
  ["s", "pause the selected node, or the leader, for a minute"],
  ["x", "cut the selected node off, or the leader, for a minute"],
  ["r", "heal the selected node, or the first node with a fault"],
  ["h", "heal everything"],
  ["g", "write a goal"],
  ["p", "pause or follow the goals"],
  ["m", "goals by minute, or as stored"],
  ["t", "theme: system, light, dark"],
  ["?", "this help"],
];

/** The dialog that explains the page, lists the keys, and takes the access token. */
export function HelpDialog({ dialog }: { dialog: RefObject<HTMLDialogElement | null> }) {
  const { enabled } = useHotkeySetting();
  const [token, setToken] = useState(readToken);
  return (
    <dialog ref={dialog} className="help" aria-labelledby="help-title" closedby="any">
      <header>
        <h2 id="help-title">Help</h2>
        <form method="dialog">
          <button type="submit" className="button button-icon" aria-label="Close the help">
            <Icon name="close" />
          </button>
        </form>
      </header>
      <h3>What you see</h3>
      <p>
        An <b>ensemble</b> of nodes keeps one list of changes. One node, the <b>leader</b>, puts every change
        in order: it <b>proposes</b> it, the followers store it and <b>acknowledge</b>, and once a majority,
        the <b>quorum</b>, has it, the leader <b>commits</b>. When the leader is gone, the others <b>vote</b>:
        the one with the newest log wins and opens a new <b>epoch</b>. A <b>zxid</b> such as{" "}
        <span className="mono">4.17</span> is the seventeenth change of epoch 4.
      </p>
      <p>
        <b>Brokers</b> register in the ensemble and take goals. Each goal gets the next <b>offset</b> of its
        partition, so every reader sees the same order, independent of the match clock.
      </p>
      <p>
        Try it: switch on <i>one a second</i>, then kill the leader. The goals wait, another node gets the
        crown, and every goal is there exactly once.
      </p>
      <h3>Keys</h3>
      <label className="switch">
        <input type="checkbox" checked={enabled} onChange={(event) => setHotkeys(event.target.checked)} />
        <span>single keys act; those that break something need a second press, or Enter, within 3 s</span>
      </label>
      <dl className="keys">
        {KEYS.map(([key, action]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{action}</dd>
          </div>
        ))}
      </dl>
      <h3>Access token</h3>
      <label className="field">
        <span>Only public deployments ask for one. It stays in this tab.</span>
        <input
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => {
            setToken(event.target.value);
            storeToken(event.target.value.trim());
          }}
        />
      </label>
    </dialog>
  );
}
