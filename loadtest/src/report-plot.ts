/** Plots as inline SVG: lines, or areas stacked on each other, over seconds. Colours come from the page's style sheet. */

export interface Series {
  readonly label: string;
  /** Number of its colour in the style sheet, 1 to 8. */
  readonly colour: number;
  /** One value a point of `at`; undefined leaves a gap. */
  readonly values: readonly (number | undefined)[];
}

export interface Plot {
  readonly title: string;
  readonly unit: string;
  /** Seconds of the points. */
  readonly at: readonly number[];
  readonly series: readonly Series[];
  readonly stacked?: boolean;
  /** A horizontal line, such as a threshold. */
  readonly line?: { readonly value: number; readonly label: string } | undefined;
}

/** Drawn in these units and scaled to the room there is; the room is about as large, so that text keeps its size. */
const WIDTH = 480;
const HEIGHT = 230;
const LEFT = 52;
const RIGHT = 12;
const TOP = 14;
const BOTTOM = 28;

/** One figure: caption, legend, picture. */
export function plotFigure(plot: Plot): string {
  const drawn = plot.stacked ? stack(plot.series) : plot.series;
  const values = drawn.flatMap(({ values }) => values.filter((value) => value !== undefined));
  const highest = Math.max(0, ...values, plot.line?.value ?? 0);
  const scale = scaleOf(highest);
  const end = Math.max(1, ...plot.at);
  const x = (at: number): number => LEFT + (at / end) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / scale.top) * (HEIGHT - TOP - BOTTOM);
  const shapes = drawn.map((series, i) =>
    plot.stacked ? area(series, drawn[i - 1]?.values ?? [], plot.at, x, y) : lines(series, plot.at, x, y),
  );
  const picture = [
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(plot.title)}">`,
    ...scale.ticks.map((tick) => gridLine(tick, y(tick))),
    ...timeTicks(end).map(
      (tick) => `<text class="tick" x="${n(x(tick))}" y="${HEIGHT - 8}" text-anchor="middle">${tick} s</text>`,
    ),
    ...shapes,
    plot.line === undefined ? '' : markLine(plot.line, y(plot.line.value)),
    '</svg>',
  ].join('');
  const legend = plot.series
    .map(({ label, colour }) => `<span class="key c${colour}">${escape(label)}</span>`)
    .join('');
  const caption = `<figcaption><b>${escape(plot.title)}</b> <span class="unit">${escape(plot.unit)}</span></figcaption>`;
  return `<figure>${caption}<div class="legend">${legend}</div>${picture}</figure>`;
}

type Scale = (value: number) => number;

/** Each on top of the ones before it. */
function stack(series: readonly Series[]): Series[] {
  const sums: number[] = [];
  return series.map((one) => ({
    ...one,
    values: one.values.map((value, i) => (sums[i] = (sums[i] ?? 0) + (value ?? 0))),
  }));
}

/** One line for each stretch without a gap; a point that stands alone is a dot. */
function lines({ label, colour, values }: Series, at: readonly number[], x: Scale, y: Scale): string {
  const stretches: string[][] = [[]];
  values.forEach((value, i) => {
    if (value === undefined) stretches.push([]);
    else stretches.at(-1)?.push(`${n(x(at[i] ?? 0))},${n(y(value))}`);
  });
  const drawn = stretches
    .filter((points) => points.length > 0)
    .map((points) => {
      const [first = ''] = points;
      if (points.length > 1) return `<polyline points="${points.join(' ')}"/>`;
      const [cx = '', cy = ''] = first.split(',');
      return `<circle cx="${cx}" cy="${cy}" r="2.5"/>`;
    });
  return `<g class="line c${colour}"><title>${escape(label)}</title>${drawn.join('')}</g>`;
}

function area(
  { label, colour, values }: Series,
  below: readonly (number | undefined)[],
  at: readonly number[],
  x: Scale,
  y: Scale,
): string {
  const point = (value: number | undefined, i: number): string => `${n(x(at[i] ?? 0))},${n(y(value ?? 0))}`;
  const upper = values.map(point);
  const lower = values.map((_, i) => point(below[i], i)).toReversed();
  return `<g class="area c${colour}"><title>${escape(label)}</title><polygon points="${[...upper, ...lower].join(' ')}"/></g>`;
}

function gridLine(tick: number, y: number): string {
  return [
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y)}" y2="${n(y)}"/>`,
    `<text class="tick" x="${LEFT - 6}" y="${n(y + 4)}" text-anchor="end">${shortNumber(tick)}</text>`,
  ].join('');
}

function markLine({ label }: { label: string }, y: number): string {
  return [
    `<line class="mark" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y)}" y2="${n(y)}"/>`,
    `<text class="mark" x="${WIDTH - RIGHT}" y="${n(y - 4)}" text-anchor="end">${escape(label)}</text>`,
  ].join('');
}

/** Round steps (1, 2 or 5 times a power of ten) from 0 to at least the highest value. */
export function scaleOf(highest: number): { readonly top: number; readonly ticks: readonly number[] } {
  const step = roundStep((highest > 0 ? highest : 1) / 4);
  const count = Math.max(1, Math.ceil((highest > 0 ? highest : 1) / step - 1e-9));
  // By division where the step is a fraction: 3 * 0.1 is not 0.3.
  const ticks = Array.from({ length: count + 1 }, (_, i) => (step < 1 ? i / Math.round(1 / step) : i * step));
  return { top: ticks.at(-1) ?? 1, ticks };
}

function timeTicks(end: number): number[] {
  const step = Math.max(1, roundStep(end / 6));
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step);
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10);
}

/** `1.5k` for 1500. */
export function shortNumber(value: number): string {
  if (Math.abs(value) >= 1e6) return `${trim(value / 1e6)}M`;
  return Math.abs(value) >= 1e4 ? `${trim(value / 1e3)}k` : trim(value);
}
const trim = (value: number): string => String(Number(value.toPrecision(4)));

const n = (value: number): string => value.toFixed(1);

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand in HTML, also in a quoted attribute. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}
