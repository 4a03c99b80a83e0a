/** closeSession: the session that the txn's header names goes, with every ephemeral that it owns. */
import { parentOf } from "../path.ts";
import {
  isAnonymous,
  NO_SESSION,
  type Txn,
  type TxnHeader,
  type WriteRequest,
  type WriteResult,
} from "../types.ts";
import { deleteZnode } from "./delete.ts";
import { type ApplyContext, type PrepContext, refuse, type WriteOp } from "./op.ts";

type CloseSessionRequest = Extract<WriteRequest, { type: "closeSession" }>;
type CloseSessionTxn = Extract<Txn, { type: "closeSession" }>;

/** @source ZooKeeper `PrepRequestProcessor`: closeSession; `DataTree.killSession` */
export const closeSession: WriteOp<CloseSessionRequest, CloseSessionTxn> = {
  /** From here on the session's writes are refused; what it owns goes with it, creations still outstanding too. */
  prep({ tree, overlay, sessions }: PrepContext, header: TxnHeader): Txn {
    const id = header.session;
    if (id === NO_SESSION || isAnonymous(id)) return refuse("BAD_ARGUMENTS");
    sessions.close(header);
    const paths = new Set(overlay.ownedBy(id));
    for (const path of tree.ephemeralsOf(id)) if (!overlay.has(path)) paths.add(path);
    for (const path of [...paths].sort()) {
      const parent = overlay.peek(parentOf(path));
      if (parent !== undefined) overlay.putDeleted(header.zxid, parent, path);
    }
    return { type: "closeSession" };
  },

  /** The ephemerals follow from the tree: the same on every member, and no list that could outgrow a row. */
  apply({ state }: ApplyContext, header: TxnHeader): WriteResult {
    const session = state.sessions.get(header.session);
    if (session === undefined) return { type: "closeSession" };
    for (const path of [...state.ephemeralsOf(session.id)].sort()) deleteZnode(state, header, path);
    state.removeSession(session);
    return { type: "closeSession" };
  },
};
