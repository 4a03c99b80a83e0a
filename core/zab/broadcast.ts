/** The commit rule: an entry is committed once a quorum has it durably, and everything before it. */
import type { MajorityQuorum, Sid } from "./quorum.ts";
import { compareZxid, ZXID_ZERO, type Zxid } from "./zxid.ts";

/**
 * The highest zxid that a quorum has acknowledged.
 * @param acked map sid → highest zxid that is durable there; cumulative, so an entry's ack covers all before it
 */
export function quorumZxid(quorum: MajorityQuorum, acked: ReadonlyMap<Sid, Zxid>): Zxid {
  if (acked.size < quorum.majority) return ZXID_ZERO;
  const sorted = [...acked.values()].sort((a, b) => compareZxid(b, a));
  return sorted[quorum.majority - 1] ?? ZXID_ZERO;
}
