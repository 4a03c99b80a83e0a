import { type ReactNode, useId } from "react";

/** A titled region of the page. */
export function Panel(props: {
  readonly title: string;
  readonly area: string;
  readonly hint?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={`panel panel-${props.area}`} aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>{props.title}</h2>
        {props.actions && <div className="panel-actions">{props.actions}</div>}
        {props.hint && <p className="panel-hint">{props.hint}</p>}
      </header>
      {props.children}
    </section>
  );
}
