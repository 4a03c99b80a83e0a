import { copyText } from "../../store/copy-text.ts";
import { useLive, useLiveEnsemble } from "../../store/live-context.ts";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { canBreak } from "./slice.ts";
import { curlOf, type Fault, useFault } from "./use-fault.ts";

/** A button that injects or ends a fault, joined to one that copies the request as curl. */
export function FaultButton(props: {
  readonly fault: Fault;
  readonly label: string;
  /** Full description: tooltip and accessible name. */
  readonly title: string;
  readonly tone: "danger" | "mend";
  readonly testId?: string;
}) {
  const { base, store } = useLiveEnsemble();
  const { inflict, isPending } = useFault();
  const off = !useLive(canBreak);
  return (
    <span className={`split split-${props.tone}`}>
      <button
        type="button"
        className="split-main"
        data-testid={props.testId}
        title={props.title}
        aria-label={props.title}
        aria-busy={isPending}
        disabled={off}
        onClick={() => inflict(props.fault)}
      >
        {props.label}
      </button>
      <button
        type="button"
        className="split-copy"
        title={`Copy as curl: ${props.title}`}
        aria-label={`Copy as curl: ${props.title}`}
        onClick={() => void copyText(store, curlOf(base, props.fault.call))}
      >
        <Icon name="copy" size={12} />
      </button>
    </span>
  );
}

/** The same as an icon, for a group of icons; the message about its result shows the curl command. */
export function FaultIcon(props: {
  readonly fault: Fault;
  readonly icon: IconName;
  /** Full description: tooltip and accessible name. */
  readonly title: string;
  readonly testId: string;
}) {
  const { inflict, isPending } = useFault();
  const off = !useLive(canBreak);
  return (
    <button
      type="button"
      className="split-icon"
      data-testid={props.testId}
      title={props.title}
      aria-label={props.title}
      aria-busy={isPending}
      disabled={off}
      onClick={() => inflict(props.fault)}
    >
      <Icon name={props.icon} size={14} />
    </button>
  );
}
