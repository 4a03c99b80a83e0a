/** Copies a command to the clipboard, and shows a message about it. */
import { writeClipboard } from "../ui/write-clipboard.ts";
import { type LiveStore, showToast } from "./live-store.ts";

/** Copies `text`; where that fails, the message shows it. */
export async function copyText(store: LiveStore, text: string): Promise<void> {
  const copied = await writeClipboard(text);
  const message = copied
    ? "Copied to the clipboard."
    : "The clipboard is not available; here is the command.";
  showToast(store, message, { curl: text });
}
