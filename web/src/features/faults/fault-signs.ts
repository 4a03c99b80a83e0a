/** Active faults in words: for the node that has the fault, and for the links that it affects. */
import type { FaultView } from "../../api/types.ts";

/** One fault of a node or broker. */
export interface FaultSign {
  readonly fault: string;
  /** A word or two, e.g. "drops 10 %". */
  readonly word: string;
  /** The same in full, with links and remaining time. */
  readonly text: string;
}

/** A link that faults affect. */
export interface LinkSign {
  /** The lower sid, and the higher one. */
  readonly a: number;
  readonly b: number;
  readonly words: readonly string[];
  /** Cut in both directions, cut in one, or impaired: messages are delayed, lost or duplicated. */
  readonly kind: "cut" | "one-way" | "impaired";
}

/** Describes a fault. */
export function signOf(fault: FaultView): FaultSign {
  const word = wordOf(fault);
  const left =
    fault.remainingMs === null ? "until it is revived" : `${Math.ceil(fault.remainingMs / 1_000)} s left`;
  return { fault: fault.fault, word, text: `${word}${scopeOf(fault)}, ${left}` };
}

function wordOf(fault: FaultView): string {
  const share = `${percent(fault.probability ?? 0)} %`;
  switch (fault.fault) {
    case "kill":
      return "killed";
    case "pause":
      return "paused";
    case "isolate":
      return fault.peers === undefined && isBoth(fault)
        ? "cut off"
        : isBoth(fault)
          ? "links cut"
          : "one-way cut";
    case "drop":
      return `drops ${share}`;
    case "delay":
      return `delayed ${fault.delayMs ?? 0}${fault.jitterMs ? ` to ${(fault.delayMs ?? 0) + fault.jitterMs}` : ""} ms`;
    case "duplicate":
      return `duplicates ${share}`;
    case "lose-return":
      return `loses ${share} of answers`;
    case "skew":
      return `clock ${(fault.skewMs ?? 0) >= 0 ? "+" : "−"}${time(Math.abs(fault.skewMs ?? 0))}`;
    case "slow-storage":
      return `slow disk, ${fault.delayMs ?? 0} ms`;
    case "corrupt":
      return "damaged log";
    default:
      // a fault of a later version
      return fault.fault;
  }
}

const isBoth = ({ direction }: FaultView): boolean => direction === undefined || direction === "both";

const percent = (share: number): string => String(Math.round(share * 1_000) / 10);

const time = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`);

function scopeOf({ peers, direction }: FaultView): string {
  const way = direction === "in" ? "from" : direction === "out" ? "to" : "with";
  if (peers === undefined) return direction === "in" || direction === "out" ? ` ${way} all nodes` : "";
  return ` ${way} ${peers.length === 1 ? "node" : "nodes"} ${peers.join(", ")}`;
}

/** Whether a fault affects messages, and so links. */
const OF_LINKS: Readonly<Record<FaultView["fault"], boolean>> = {
  isolate: true,
  drop: true,
  delay: true,
  duplicate: true,
  "lose-return": true,
  kill: false,
  pause: false,
  skew: false,
  "slow-storage": false,
  corrupt: false,
};

/** The affected links. @param faults *map sid → its active faults* */
export function linkSigns(
  sids: readonly number[],
  faults: ReadonlyMap<number, readonly FaultView[]>,
): readonly LinkSign[] {
  const links = new Map<string, { a: number; b: number; words: Set<string>; cuts: Set<string> }>();
  for (const [sid, list] of faults) {
    for (const fault of list) {
      if (!OF_LINKS[fault.fault]) continue;
      for (const peer of fault.peers ?? sids) {
        if (peer === sid || !sids.includes(peer)) continue;
        const [a, b] = [Math.min(sid, peer), Math.max(sid, peer)];
        const key = `${a}-${b}`;
        const link = links.get(key) ?? { a, b, words: new Set(), cuts: new Set() };
        links.set(key, link);
        const [out, into] = [fault.direction !== "in", fault.direction !== "out"];
        if (fault.fault === "isolate") {
          if (out) link.cuts.add(`${sid}→${peer}`);
          if (into) link.cuts.add(`${peer}→${sid}`);
        } else link.words.add(wordOf(fault));
      }
    }
  }
  return [...links.values()].map(({ a, b, words, cuts }) => {
    if (cuts.size === 2) return { a, b, words: ["cut"], kind: "cut" };
    const [cut] = cuts;
    if (cut !== undefined) return { a, b, words: [`${cut} cut`, ...words], kind: "one-way" };
    return { a, b, words: [...words], kind: "impaired" };
  });
}
