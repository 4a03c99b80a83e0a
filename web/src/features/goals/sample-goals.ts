/** Sample goals. */
import type { Goal } from "../../api/types.ts";

const SCORERS: readonly (readonly [string, string])[] = [
  ["Messi", "FCB"],
  ["Bonmatí", "FCB"],
  ["Putellas", "FCB"],
  ["Saka", "ARS"],
  ["Miedema", "ARS"],
  ["Haaland", "MCI"],
  ["Shaw", "MCI"],
  ["Mbappé", "RMA"],
  ["Bellingham", "RMA"],
  ["Salah", "LIV"],
  ["Kerr", "CHE"],
  ["Palmer", "CHE"],
  ["Kane", "FCB"],
  ["Osimhen", "GAL"],
  ["Hegerberg", "OL"],
];

const MINUTE_MAX = 90;
/** Minutes between two goals, on average. */
const PACE = 4;

/**
 * The goal number `index` of an endless match: the clock advances, but some goals are reported late. `random` is in [0, 1).
 */
export function sampleGoal(random: () => number, index: number): Goal {
  const clock = (index * PACE) % MINUTE_MAX;
  const [player, club] = SCORERS[Math.floor(random() * SCORERS.length)] ?? ["Messi", "FCB"];
  return {
    Minute: Math.max(1, Math.min(MINUTE_MAX, clock + Math.floor(random() * 9) - 2)),
    Player: player,
    Club: club,
    Score: `${Math.floor(random() * 5)}-${Math.floor(random() * 4)}`,
  };
}
