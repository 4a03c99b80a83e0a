/** Goals to post when nobody has a better idea. `random` is in [0, 1). */
import type { Goal } from "../api/types.ts";

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

export function sampleGoal(random: () => number): Goal {
  const [player, club] = SCORERS[Math.floor(random() * SCORERS.length)] ?? ["Messi", "FCB"];
  return {
    Minute: 1 + Math.floor(random() * MINUTE_MAX),
    Player: player,
    Club: club,
    Score: `${Math.floor(random() * 5)}-${Math.floor(random() * 4)}`,
  };
}
