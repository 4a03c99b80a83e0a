/** Linearizable reads, over HTTP, because ZooKeeper's protocol has none. */
import type { ZooErrorCode } from "../../core/errors.ts";
import { sessionFromText } from "../../core/znode/types.ts";
import {
  type Outcome,
  outcomeOf,
  type ReadRequest,
  type Result,
  type Stat,
} from "../../sim/history/history.ts";

/** A Stat as the API writes it: zxids and the owner are text. */
export type StatJson = Omit<Stat, "czxid" | "mzxid" | "pzxid" | "ephemeralOwner"> &
  Record<"czxid" | "mzxid" | "pzxid" | "ephemeralOwner", string>;

/** @returns null: no answer came in time, or none of the ensemble's */
export async function readLinearizable(
  api: string,
  member: number,
  request: ReadRequest,
  patienceMs: number,
): Promise<Outcome | null> {
  const view = { getData: "data", exists: "stat", getChildren: "children" }[request.type];
  try {
    const response = await fetch(
      `${api}/v1/znodes${request.path}?view=${view}&consistency=linearizable&node=${member}`,
      { headers: { accept: "application/json" }, signal: AbortSignal.timeout(patienceMs) },
    );
    const body = (await response.json()) as Record<string, unknown>;
    if (response.ok) {
      const zxid = zxidOf(response.headers.get("zoo-zxid"));
      return { type: "done", zxid, result: resultOf(request, body) };
    }
    const outcome = outcomeOf({ ok: false, zxid: null, code: body.code as ZooErrorCode });
    return outcome.type === "done" ? { ...outcome, zxid: zxidOf(body.zxid as string | undefined) } : outcome;
  } catch {
    return null;
  }
}

export const zxidOf = (text: string | null | undefined): number | null =>
  text === null || text === undefined ? null : Number(text);

function resultOf({ type }: ReadRequest, body: Record<string, unknown>): Result {
  const stat = statOf(body.stat as StatJson);
  switch (type) {
    case "exists":
      return { type, stat };
    case "getChildren":
      return { type, children: body.children as string[], stat };
    case "getData": {
      const data = body.data as string | null;
      return { type, data: data === null ? null : Buffer.from(data, "base64").toString("latin1"), stat };
    }
  }
}

export const statOf = ({ czxid, mzxid, pzxid, ephemeralOwner, ...rest }: StatJson): Stat => ({
  czxid: Number(czxid),
  mzxid: Number(mzxid),
  pzxid: Number(pzxid),
  ...rest,
  ephemeralOwner: sessionFromText(ephemeralOwner) ?? 0,
});
