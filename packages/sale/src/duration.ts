/** Go-style durations (`90s`, `10m`, `1h30m`, `1.5s`) as they stand in a FlashSale, to and from milliseconds. */

const UNITS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
type Unit = keyof typeof UNITS;

const FORM = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/;
const PART = /(\d+(?:\.\d+)?)(h|ms|m|s)/g;

/** Milliseconds, rounded to whole ones. Undefined where the text is no duration, or longer than a number can hold. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!FORM.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(PART)) ms += Number(amount) * UNITS[unit as Unit];
  const whole = Math.round(ms);
  return Number.isSafeInteger(whole) ? whole : undefined;
}

/** The shortest form that `parseDuration` reads back: `1h30m`, `90s` becomes `1m30s`, `0` becomes `0s`. */
export function formatDuration(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0) throw new RangeError(`a duration is a whole number of ms from 0, not ${ms}`);
  if (ms === 0) return '0s';
  let rest = ms;
  let text = '';
  for (const [unit, size] of Object.entries(UNITS)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
