/** The ensemble's part of the store: written by the status poll and by the event feed. */
import type { EnsembleState } from "../../api/types.ts";
import { NO_STATUS, type Status } from "./status.ts";

/** State of the ensemble and of its API. */
export interface EnsembleSlice {
  readonly status: Status;
  /** Why the last status poll failed; null after a success. */
  readonly problem: Error | null;
  /** Time of the last answer, ms since 1970; null before the first one. */
  readonly answeredMs: number | null;
  /** The node that the visitor has selected. */
  readonly selectedSid: number | null;
  /** Last change of the ensemble in words, for screen readers. */
  readonly announcement: string;
}

/** The slice before the first answer. */
export const ensembleSlice = (): EnsembleSlice => ({
  status: NO_STATUS,
  problem: null,
  answeredMs: null,
  selectedSid: null,
  announcement: "",
});

/** The ensemble as it is shown; undefined before the first answer. */
export const viewOf = ({ status }: EnsembleSlice): EnsembleState | undefined => status.view;
