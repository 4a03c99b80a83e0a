/** The sizes of the growth benchmark. */

/** Numbers of znodes, ascending. */
export const SIZES: readonly number[] = [1_000, 10_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];
