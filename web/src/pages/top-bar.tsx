/** The bar at the top, always visible: the name, problems of the API, and the last action. */
import type { Theme, useTheme } from "../hooks/use-theme.ts";
import { Icon, type IconName } from "../ui/icon.tsx";
import { ApiNotice } from "./api-notice.tsx";
import { Messages } from "./messages.tsx";

const THEME_ICONS: Readonly<Record<Theme, IconName>> = { system: "system", light: "sun", dark: "moon" };

interface Props {
  readonly ensemble: string;
  readonly theme: ReturnType<typeof useTheme>;
  readonly onHelp: () => void;
}

/** Name, messages, theme and help. */
export function TopBar({ ensemble, theme, onHelp }: Props) {
  return (
    <header className="top">
      <div className="top-row">
        <svg className="logo" viewBox="0 0 32 32" width="34" height="34" aria-hidden="true">
          <circle cx="16" cy="19" r="9" className="logo-ring" />
          <circle cx="8.500" cy="24" r="3.400" className="logo-node" />
          <circle cx="23.500" cy="24" r="3.400" className="logo-node" />
          <path
            d="M10 13 8.300 4.500l4.400 3.400L16 2.500l3.300 5.400 4.400-3.400L22 13z"
            className="crown"
          />
        </svg>
        <div className="top-name">
          <h1>ZooWeeper</h1>
          <p>Kill the leader and watch it heal.</p>
        </div>
        {ensemble !== "default" && (
          <span className="top-ensemble" title="The ensemble this page shows">
            {ensemble}
          </span>
        )}
        <Messages />
        <button
          type="button"
          className="button button-icon"
          aria-label={`Theme: ${theme.theme}. Change it`}
          title={`Theme: ${theme.theme}`}
          onClick={theme.nextTheme}
        >
          <Icon name={THEME_ICONS[theme.theme]} />
        </button>
        <button type="button" className="button" onClick={onHelp}>
          Help <kbd>?</kbd>
        </button>
      </div>
      <ApiNotice />
    </header>
  );
}
