/** createSession: opens the session that the txn's header names, or gives it another timeout. */
import { Session } from "../session.ts";
import {
  isAnonymous,
  NO_SESSION,
  type Txn,
  type TxnHeader,
  type WriteRequest,
  type WriteResult,
} from "../types.ts";
import { type ApplyContext, failure, type PrepContext, refuse, type WriteOp } from "./op.ts";

type CreateSessionRequest = Extract<WriteRequest, { type: "createSession" }>;
type CreateSessionTxn = Extract<Txn, { type: "createSession" }>;

/** @source ZooKeeper `PrepRequestProcessor`: createSession; `SessionTrackerImpl.trackSession` */
export const createSession: WriteOp<CreateSessionRequest, CreateSessionTxn> = {
  prep({ sessions }: PrepContext, header: TxnHeader, { timeoutMs }: CreateSessionRequest): Txn {
    const id = header.session;
    if (id <= NO_SESSION || isAnonymous(id)) return refuse("BAD_ARGUMENTS");
    if (sessions.isClosing(id)) return refuse("SESSION_EXPIRED");
    sessions.open(header);
    return { type: "createSession", timeoutMs };
  },

  apply({ state }: ApplyContext, header: TxnHeader, { timeoutMs }: CreateSessionTxn): WriteResult {
    const id = header.session;
    if (id <= NO_SESSION || isAnonymous(id)) return failure("BAD_ARGUMENTS");
    const session = state.sessions.get(id);
    if (session === undefined) state.addSession(new Session(id, timeoutMs));
    else {
      session.timeoutMs = timeoutMs;
      state.sessionTouched(session);
    }
    return { type: "createSession", timeoutMs };
  },
};
