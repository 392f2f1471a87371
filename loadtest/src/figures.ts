/** Medians, ratios and the table that the benchmark prints. */

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}

/** The median of each list. */
export function medians<K extends string>(samples: Readonly<Record<K, readonly number[]>>): Record<K, number> {
  const entries = Object.entries<readonly number[]>(samples).map(([name, values]) => [name, median(values)]);
  return Object.fromEntries(entries) as Record<K, number>;
}

/** One decimal: the figures are no more exact than that. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function roundAll<K extends string>(figures: Readonly<Record<K, number>>): Record<K, number> {
  return Object.fromEntries(Object.entries<number>(figures).map(([name, value]) => [name, round(value)])) as Record<
    K,
    number
  >;
}

/** Aligns columns; the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  const line = (row: readonly string[]): string => {
    return row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  };
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
