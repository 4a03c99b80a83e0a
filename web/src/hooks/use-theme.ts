/** The theme of the page: light, dark, or that of the system. `public/theme.js` applies the choice before the first paint. */
import { useCallback, useState } from "react";

/** Colours of the page; `system` follows the setting of the system. */
export type Theme = "system" | "light" | "dark";

const KEY = "zooweeper.theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];

function stored(): Theme {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || theme === "dark" ? theme : "system";
}

/** The theme, and a function that switches to the next one. */
export function useTheme(): { theme: Theme; nextTheme: () => void } {
  const [theme, setTheme] = useState<Theme>(stored);
  const nextTheme = useCallback(() => {
    setTheme((now) => {
      const next = ORDER[(ORDER.indexOf(now) + 1) % ORDER.length] ?? "system";
      if (next === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      try {
        if (next === "system") localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, next);
      } catch {
        // storage may be refused: the choice then lasts until the page is left
      }
      return next;
    });
  }, []);
  return { theme, nextTheme };
}
