/** Znodes and sessions as rows of a checkpoint, and back. */
import { Session, type SessionRow } from "./session.ts";
import { Znode, type ZnodeRow } from "./stat.ts";
import type { ChangedZnode } from "./znode-store.ts";

/** The row of a znode in its current state. */
export function rowOf(node: Znode): ChangedZnode {
  const { path, data, czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner } = node;
  const { numChildren } = node;
  return {
    path,
    data,
    czxid,
    mzxid,
    pzxid,
    ctime,
    mtime,
    version,
    cversion,
    aversion,
    ephemeralOwner,
    numChildren,
  };
}

/** The row of a session in its current state. */
export function sessionRowOf(session: Session): SessionRow {
  const { id, timeoutMs, lastXid, lastZxid, lastResult, lastFingerprint } = session;
  return { id, timeoutMs, lastXid, lastZxid, lastResult, lastFingerprint };
}

/** The znode of a row, without its children. Its hashes are not computed. */
export function znodeOf(row: ZnodeRow): Znode {
  const node = new Znode(row.path);
  node.data = row.data;
  node.czxid = row.czxid;
  node.mzxid = row.mzxid;
  node.pzxid = row.pzxid;
  node.ctime = row.ctime;
  node.mtime = row.mtime;
  node.version = row.version;
  node.cversion = row.cversion;
  node.aversion = row.aversion;
  node.ephemeralOwner = row.ephemeralOwner;
  return node;
}

/** The session of a row, without its ephemerals. Its hash is not computed. */
export function sessionOf(row: SessionRow): Session {
  const session = new Session(row.id, row.timeoutMs);
  session.lastXid = row.lastXid;
  session.lastZxid = row.lastZxid;
  session.lastResult = row.lastResult;
  session.lastFingerprint = row.lastFingerprint ?? 0;
  return session;
}
