/** Mutants of znodes and watches. */
import {
  CHANGE_SET,
  CLOSE_SESSION,
  CREATE,
  MULTI,
  OVERLAY,
  PAGES,
  PENDING_SESSIONS,
  READ_PATH,
  TREE_STATE,
  WATCH,
} from "../sources.ts";
import { type Mutant, mutant } from "./mutant.ts";

/** Mutants of the tree. */
export const ZNODE_MUTANTS: readonly Mutant[] = [
  // ── znodes ──
  mutant(
    "rollback-leaves-marks",
    "a multi that is rolled back leaves the changes before it marked as superseded",
    "ZNODE: a multi is all or nothing",
    OVERLAY,
    "        change.before.superseded = false;\n",
    "",
  ),
  mutant(
    "multi-leaves-changes",
    "a multi that fails leaves its first changes in the overlay",
    "ZNODE: a multi is all or nothing",
    MULTI,
    "        context.overlay.rollback(mark);\n",
    "        context.overlay.rollback(Math.max(mark, context.overlay.mark()));\n",
  ),
  mutant(
    "close-forgets-outstanding",
    "the end of a session is prepared without the ephemerals whose creation is outstanding",
    "ZNODE: ephemerals",
    CLOSE_SESSION,
    "const paths = new Set(overlay.ownedBy(id));",
    "const paths = new Set<string>();",
  ),
  mutant(
    "writes-after-close",
    "writes of a session whose end is outstanding are prepared",
    "ZNODE: sessions",
    PENDING_SESSIONS,
    "{ lastXid: this.lastXidOf(session), closing: true, zxid }",
    "{ lastXid: this.lastXidOf(session), closing: false, zxid }",
  ),
  mutant(
    "sequence-used-twice",
    "two sequential creations that are outstanding at once get one number",
    "ZNODE: sequential",
    CREATE,
    "overlay.putChildren(header.zxid, parent, parentCversion, 1);",
    "overlay.putChildren(header.zxid, parent, parent.cversion, 1);",
  ),
  mutant(
    "pzxid-kept-at-delete",
    "the deletion of a child does not change its parent's pzxid",
    "ZNODE: Stat",
    TREE_STATE,
    "    this.#childrenChanged(parent, zxid, parent.cversion);\n",
    "    this.#childrenChanged(parent, parent.pzxid, parent.cversion);\n",
  ),
  mutant(
    "list-too-large",
    "a list of names is returned whole, however large it is",
    "HTTP-47",
    PAGES,
    "    if (bytes > bytesMax) return true;\n",
    "",
  ),
  mutant(
    "page-too-large",
    "a page is one name larger than what its reader allows",
    "HTTP-47",
    PAGES,
    "if (bytes > bytesMax && end > start) break;",
    "if (bytes > bytesMax + 8 && end > start) break;",
  ),
  mutant(
    "checkpoint-keeps-deleted",
    "a checkpoint keeps znodes that were deleted",
    "ZAB-12",
    CHANGE_SET,
    "        deleted.push(path);\n",
    "",
  ),

  // ── watches ──
  mutant(
    "set-watches-overtakes",
    "setWatches is answered before its session's earlier requests",
    "SERVER-8",
    READ_PATH,
    "    if (pending.has(session)) this.#wait(",
    "    if (pending.has(session) && xid === 0.5) this.#wait(",
  ),
  mutant(
    "missed-creation",
    "a client that reconnects does not get a creation that it missed",
    "ZNODE: watches",
    WATCH,
    "tree.peek(path) === undefined ? undefined : WatchEventType.CREATED",
    "undefined",
  ),
];
