import type { ReactNode, RefObject, UIEventHandler } from "react";

/** A named region that scrolls by itself, with the keyboard too. */
export function ScrollRegion(props: {
  readonly label: string;
  readonly className: string;
  readonly children: ReactNode;
  readonly box?: RefObject<HTMLElement | null>;
  readonly onScroll?: UIEventHandler;
  readonly testId?: string;
}) {
  return (
    <section
      className={props.className}
      aria-label={props.label}
      ref={props.box}
      onScroll={props.onScroll}
      data-testid={props.testId}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the focus
      tabIndex={0}
    >
      {props.children}
    </section>
  );
}
