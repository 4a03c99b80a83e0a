/** Single-key shortcuts. They can be switched off, for people who speak to their computer. */
import { useEffect, useRef } from "react";
import { create } from "zustand";

const KEY = "zooweeper.hotkeys";

/** Whether shortcuts are switched on, in this browser. */
export const useHotkeySetting = create<{ enabled: boolean }>(() => ({
  enabled: localStorage.getItem(KEY) !== "off",
}));

/** Switches shortcuts on or off, and stores it. */
export function setHotkeys(enabled: boolean): void {
  localStorage.setItem(KEY, enabled ? "on" : "off");
  useHotkeySetting.setState({ enabled });
}

/** What a key does; while its condition does not hold, the browser handles the key. */
export type Hotkey = (() => void) | { readonly when: () => boolean; readonly run: () => void };

/** *map `KeyboardEvent.key` → what it does* */
export type Hotkeys = Readonly<Record<string, Hotkey>>;

const TYPING = "input, textarea, select, [contenteditable]";

/** Calls `keys[event.key]`; never while typing, with a modifier held, or while a dialog is open. */
export function useHotkeys(keys: Hotkeys): void {
  const latest = useRef(keys);
  latest.current = keys;
  const { enabled } = useHotkeySetting();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.target instanceof Element && event.target.closest(TYPING)) return;
      if (document.querySelector("dialog[open]")) return;
      if (!enabled && event.key !== "?") return;
      const action = latest.current[event.key];
      if (!action || (typeof action === "object" && !action.when())) return;
      event.preventDefault();
      if (typeof action === "object") action.run();
      else action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [enabled]);
}
