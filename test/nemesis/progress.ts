/** Progress of the clients of one run. */
export class Progress {
  /** acknowledged writes */
  writes = 0;
  /** when the last of them was acknowledged, ms of performance.now(); before the first, when the run began */
  lastAt = performance.now();
  /** longest time without one, ms */
  longestMs = 0;

  acknowledged(): void {
    this.writes += 1;
    this.note();
    this.lastAt = performance.now();
  }

  /** Takes the time since the last one into account. */
  note(): void {
    this.longestMs = Math.max(this.longestMs, performance.now() - this.lastAt);
  }
}
