/** Cuts that divide the network of an ensemble into parts. */

/** A cut at one node: it receives nothing from these peers, sends nothing to them, or both. */
export interface Cut {
  readonly sid: number;
  readonly peers: readonly number[];
  readonly direction: "in" | "out" | "both";
}

/**
 * Groups that do not reach each other; nodes that are in no group form the last one. With `oneWay` only messages from an
 * earlier group to a later one are lost.
 */
export function cutsOfGroups(
  groups: readonly (readonly number[])[],
  sids: readonly number[],
  oneWay: boolean,
): readonly Cut[] {
  const rest = sids.filter((sid) => !groups.some((group) => group.includes(sid)));
  const all = [...groups, rest];
  const direction = oneWay ? "out" : "both";
  return all.flatMap((group, at) => {
    const peers = all.slice(at + 1).flat();
    return peers.length === 0 ? [] : group.map((sid) => ({ sid, peers, direction }) as const);
  });
}

/** Every node receives from a majority, itself included, and no two from the same one. @source Jepsen `nemesis/majorities-ring` */
export function cutsOfRing(sids: readonly number[]): readonly Cut[] {
  const { length: size } = sids;
  const majority = Math.floor(size / 2) + 1;
  return sids.flatMap((sid, at) => {
    const first = at - Math.floor((majority - 1) / 2);
    const peers = sids.filter((_, other) => (((other - first) % size) + size) % size >= majority);
    return peers.length === 0 ? [] : [{ sid, peers, direction: "in" } as const];
  });
}
