/** JSON bodies of answers about znodes and sessions. Those that the page reads are in views.ts. */

import { zxidToText } from "../../../core/zab/zxid.ts";
import { type Stat, sessionToText } from "../../../core/znode/types.ts";
import { toBase64 } from "../http/base64.ts";

/** A Stat in JSON: zxids and session ids are text, times are ms since 1970. */
export interface StatJson {
  readonly czxid: string;
  readonly mzxid: string;
  readonly pzxid: string;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  readonly cversion: number;
  readonly aversion: number;
  /** session of the owner of an ephemeral, else "0x0" */
  readonly ephemeralOwner: string;
  readonly dataLength: number;
  readonly numChildren: number;
}

/** `GET /v1/znodes/{path}` as JSON */
export interface ZnodeJson {
  readonly path: string;
  /** base64; null if the znode was created without data */
  readonly data: string | null;
  /** the data as text, if they are UTF-8 */
  readonly text?: string;
  readonly stat: StatJson;
}

/** `GET /v1/znodes/{path}?view=children` */
export interface ChildrenJson {
  readonly path: string;
  readonly children: readonly string[];
  /** `after` of the next page, if there is one */
  readonly next?: string;
  readonly stat: StatJson;
}

/** `?view=stat`, and the answer to a create or a set */
export interface PathStatJson {
  readonly path: string;
  readonly stat: StatJson;
}

/** `POST /v1/sessions`, `PUT /v1/sessions/{id}` */
export interface SessionJson {
  readonly session: string;
  readonly timeoutMs: number;
}

/** `GET /v1/sessions/{id}/ephemerals`: paths, sorted */
export interface EphemeralsJson {
  readonly session: string;
  readonly ephemerals: readonly string[];
}

/** `POST /v1/sync` */
export interface SyncJson {
  readonly zxid: string;
}

/** `GET` and `PUT /v1/ensembles/{name}` */
export interface EnsembleNameJson {
  readonly name: string;
  readonly size: number;
}

/** An event of a watch stream. */
export interface WatchEventJson {
  readonly type: "NodeCreated" | "NodeDeleted" | "NodeDataChanged" | "NodeChildrenChanged";
  readonly path: string;
  readonly zxid: string;
}

/** One result of a multi. */
export type MultiResultJson =
  | { readonly op: "create"; readonly path: string; readonly stat: StatJson | null }
  | { readonly op: "set"; readonly stat: StatJson }
  | { readonly op: "delete" | "check" }
  | { readonly error: string; readonly number: number };

/** A Stat as JSON. */
export function statJson(stat: Stat): StatJson {
  return {
    czxid: zxidToText(stat.czxid),
    mzxid: zxidToText(stat.mzxid),
    pzxid: zxidToText(stat.pzxid),
    ctime: stat.ctime,
    mtime: stat.mtime,
    version: stat.version,
    cversion: stat.cversion,
    aversion: stat.aversion,
    ephemeralOwner: stat.ephemeralOwner === 0 ? "0x0" : sessionToText(stat.ephemeralOwner),
    dataLength: stat.dataLength,
    numChildren: stat.numChildren,
  };
}

/** Entity tag: the version, and the czxid, which differs if the znode was deleted and created again. */
export const etagOf = (stat: Stat): string => `"${stat.version}.${zxidToText(stat.czxid)}"`;

/** A znode as JSON. */
export function znodeJson(path: string, data: Uint8Array | null, stat: Stat): ZnodeJson {
  const text = data === null ? undefined : utf8Of(data);
  return {
    path,
    data: data === null ? null : toBase64(data),
    ...(text === undefined ? {} : { text }),
    stat: statJson(stat),
  };
}

function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
