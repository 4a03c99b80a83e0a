/**
 * Opens the private fields of the core and of its members' disks when they are loaded: `this.#role` becomes `this._role`.
 * The search compares the whole state of a member, and a manual list of fields would become incomplete, so it reads all
 * fields. No other code changes. Import this before every module that imports the core.
 */
import { registerHooks } from "node:module";

const CORE = new URL("../../../core/", import.meta.url).href;
const DISK = new URL("../../memory-backend.ts", import.meta.url).href;
/** A private name, not a `#` in a text. */
const PRIVATE = /(?<![\w$`"'}])#(?=[a-z])/g;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if ((!url.startsWith(CORE) && url !== DISK) || loaded.source == null) return loaded;
    const source =
      typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
    return { ...loaded, source: source.replace(PRIVATE, "_") };
  },
});
