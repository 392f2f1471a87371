/** How tests measure expiries: the most in any two seconds. */

export const WINDOW_MS = 2_000;

/** The most instants (ms, in any order) in a window of two seconds, wherever it begins. */
export function mostIn(instants: readonly number[]): number {
  const sorted = instants.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [last, at] of sorted.entries()) {
    while (at - (sorted[first] ?? at) >= WINDOW_MS) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
