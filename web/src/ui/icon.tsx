/** Icons on a 16 × 16 grid in the colour of the text, always next to words or a label. */
import type { ReactNode } from "react";

const PATHS = {
  crown: (
    <path
      d="M2 12.5 1.2 5l3.6 2.6L8 2.500l3.200 5.100L14.800 5 14 12.500z"
      fill="currentColor"
      stroke="none"
    />
  ),
  copy: <path d="M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z" />,
  check: <path d="m3 8.500 3.300 3.300L13 4.800" />,
  bolt: <path d="M9 1.500 3.500 9H8l-1 5.500L12.500 7H8z" />,
  cut: <path d="M1.500 8H5M11 8h3.500M6 12l4-8" />,
  pause: <path d="M5.500 3.500v9M10.500 3.500v9" />,
  play: <path d="m5 3 7.500 5L5 13z" fill="currentColor" />,
  down: <path d="M8 3v10M4 9l4 4 4-4" />,
  sun: (
    <path d="M8 5.200a2.800 2.800 0 1 1 0 5.600 2.800 2.800 0 0 1 0-5.600zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1.100 1.100M11.900 11.900 13 13M3 13l1.100-1.100M11.900 4.100 13 3" />
  ),
  moon: <path d="M13.500 9.500A6 6 0 0 1 6.500 2.500a6 6 0 1 0 7 7z" />,
  system: <path d="M1.500 3h13v8h-13zM5.500 14h5M8 11v3" />,
  dice: (
    <path d="M2.500 2.500h11v11h-11zM5.500 5.500h.01M10.500 5.500h.01M8 8h.01M5.500 10.500h.01M10.500 10.500h.01" />
  ),
  heart: <path d="M8 13.500C1 9 2 3.500 5 3.500c1.500 0 2.500 1 3 2 .500-1 1.500-2 3-2 3 0 4 5.500-3 10z" />,
  close: <path d="m4 4 8 8M12 4l-8 8" />,
} satisfies Record<string, ReactNode>;

/** Name of an icon. */
export type IconName = keyof typeof PATHS;

/** Draws an icon; hidden from screen readers. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 16 16"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {PATHS[name]}
    </svg>
  );
}
