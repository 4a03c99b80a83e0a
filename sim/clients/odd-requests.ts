/** Requests that every tree refuses. */
import type { ZooErrorCode } from "../../core/errors.ts";
import type { RequestResult } from "../../core/server/answers.ts";
import { encodeWrite } from "../../core/wire/jute/requests.ts";
import { NO_SESSION } from "../../core/znode/types.ts";
import type { ClientWorld } from "./client-world.ts";

const DATA = new Uint8Array(1);

/** Requests that every tree refuses. /w has children, and e1 is a client's ephemeral wherever it is. */
const ODD_REQUESTS: readonly (readonly [name: string, request: ReturnType<typeof encodeWrite>])[] = [
  ["a path without a slash", encodeWrite({ type: "setData", path: "w", data: DATA, version: -1 })],
  ["no request", { opcode: 1, body: new Uint8Array([0, 0, 0, 99, 1]) }],
  [
    "a delete of a znode with a child",
    encodeWrite({
      type: "multi",
      ops: [
        { type: "create", path: "/w/odd", data: DATA, mode: 0, withStat: false },
        { type: "delete", path: "/w", version: -1 },
      ],
    }),
  ],
  [
    "a child of an ephemeral",
    encodeWrite({ type: "create", path: "/w/k1/e1/x", data: DATA, mode: 0, withStat: false }),
  ],
  [
    "a child of an ephemeral",
    encodeWrite({ type: "create", path: "/w/k2/e1/x", data: DATA, mode: 0, withStat: false }),
  ],
];

/** The code of the first operation that failed. */
function refusalOf(result: RequestResult): ZooErrorCode | undefined {
  if (result.type === "error") return result.code;
  if (result.type !== "multi") return undefined;
  for (const each of result.results) if (each.type === "error" && each.code !== "OK") return each.code;
  return undefined;
}

/** Sometimes sends a request that is refused in every state of the tree. Only the refusal is logged. */
export function askOddly({ cluster, chance, count }: ClientWorld): void {
  const life = cluster.member(chance.between(1, cluster.members.length)).life;
  if (life === null) return;
  const [name, request] = chance.oneOf(ODD_REQUESTS);
  const found = cluster.connect(life.sid, {
    respond: (_xid, answer) => {
      const code = answer.ok ? refusalOf(answer.result) : undefined;
      if (code !== undefined) count(code);
      else if (!answer.ok) count(answer.code);
      else throw new Error(`${name} was carried out`);
      if (found !== undefined) life.disconnected(found.token);
    },
    notify: () => {},
    closed: () => {},
  });
  if (found === undefined) return;
  life.turn((server, now) =>
    server.submitWrite(now, found.token, { session: NO_SESSION, xid: 0, ...request }),
  );
}
