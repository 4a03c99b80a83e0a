/** The growth curve as SVG: one panel a figure, one line a shape, over the number of znodes. */
import type { Shape } from "../load/tree.ts";
import { SHAPES } from "../load/tree.ts";
import { FIGURES, type Figure, type GrowthRow, nameOf } from "./report.ts";

const COLUMNS = 3;
const PANEL = { width: 300, height: 190, left: 56, right: 14, top: 34, bottom: 30 } as const;
const HEAD = 44;
/** In light and in dark pages. */
const STYLE = `
svg { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1c2b33; background: #fbfcfc }
.axis { stroke: #b8c4c9; fill: none } .tick { fill: #586a72; font-size: 10px }
.parents { stroke: #0b8f7a } .flat { stroke: #c2571a } .line { fill: none; stroke-width: 2 }
circle.parents { fill: #0b8f7a } circle.flat { fill: #c2571a } text.title { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  svg { fill: #e3eaec; background: #11191d } .axis { stroke: #45545b } .tick { fill: #9fb0b8 }
}`;

/** The curve of all figures of which there are at least two points, and one that is not 0. */
export function growthCurve(rows: readonly GrowthRow[], title: string): string {
  const shapes = SHAPES.filter((shape) => rows.some((row) => row.shape === shape));
  const isDrawn = (points: readonly Point[]): boolean =>
    points.length > 1 && points.some(([, value]) => value !== 0);
  const figures = FIGURES.filter((figure) => shapes.some((shape) => isDrawn(pointsOf(rows, shape, figure))));
  const lines = Math.ceil(figures.length / COLUMNS);
  const [width, height] = [COLUMNS * PANEL.width, HEAD + lines * PANEL.height];
  const panels = figures.map((figure, i) => {
    const [x, y] = [(i % COLUMNS) * PANEL.width, HEAD + Math.floor(i / COLUMNS) * PANEL.height];
    return `<g transform="translate(${x} ${y})">${panel(rows, figure)}</g>`;
  });
  const legend = shapes.map(
    (shape, i) =>
      `<g transform="translate(${width - 200 - (shapes.length - 1 - i) * 130} 26)"><path class="line ${shape}" d="M0-4h22"/><text x="28">${nameOf(shape)}</text></g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">
<style>${STYLE}</style>
<text class="title" x="12" y="26">${title}</text>
${legend.join("\n")}
${panels.join("\n")}
</svg>
`;
}

type Point = readonly [znodes: number, value: number];

function pointsOf(rows: readonly GrowthRow[], shape: Shape, { of }: Figure): Point[] {
  return rows.flatMap((row) => {
    const value = row.shape === shape ? of(row.measures) : undefined;
    return value === undefined || !Number.isFinite(value) ? [] : [[row.znodes, value] as const];
  });
}

/** One figure: znodes logarithmic, values from 0. */
function panel(rows: readonly GrowthRow[], figure: Figure): string {
  const all = SHAPES.flatMap((shape) => pointsOf(rows, shape, figure));
  const sizes = [...new Set(all.map(([znodes]) => znodes))].sort((a, b) => a - b);
  const [low, high] = [Math.log10(sizes[0] ?? 1), Math.log10(sizes.at(-1) ?? 10)];
  const top = niceAbove(Math.max(...all.map(([, value]) => value)));
  const [right, bottom] = [PANEL.width - PANEL.right, PANEL.height - PANEL.bottom];
  const x = (znodes: number): number =>
    round(PANEL.left + ((Math.log10(znodes) - low) / (high - low)) * (right - PANEL.left));
  const y = (value: number): number => round(bottom - (value / top) * (bottom - PANEL.top));
  const grid = [0, 0.5, 1].map(
    (share) =>
      `<path class="axis" d="M${PANEL.left} ${y(top * share)}H${right}"/><text class="tick" x="${PANEL.left - 6}" y="${y(top * share) + 3}" text-anchor="end">${short(top * share)}</text>`,
  );
  const marks = sizes.map(
    (znodes) =>
      `<text class="tick" x="${x(znodes)}" y="${bottom + 16}" text-anchor="middle">${short(znodes)}</text>`,
  );
  const curves = SHAPES.map((shape) => {
    const points = pointsOf(rows, shape, figure).map(([znodes, value]) => [x(znodes), y(value)] as const);
    if (points.length === 0) return "";
    const dots = points.map(([cx, cy]) => `<circle class="${shape}" cx="${cx}" cy="${cy}" r="3"/>`).join("");
    return `<path class="line ${shape}" d="M${points.map((point) => point.join(" ")).join("L")}"/>${dots}`;
  });
  return `<text class="title" x="${PANEL.left}" y="20">${figure.title}</text>${[...grid, ...marks, ...curves].join("")}`;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** The smallest 1, 2 or 5 times a power of ten that is not below the value. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10);
}

/** 12500 as 12.5k. */
function short(value: number): string {
  if (value >= 1_000_000) return `${round(value / 1_000_000)}M`;
  if (value >= 1_000) return `${round(value / 1_000)}k`;
  return String(value < 10 ? Math.round(value * 100) / 100 : round(value));
}
