/** The HTML report of a load run: one file, no script, nothing from elsewhere. */
import type { LoadRun, Slice } from './load-run.ts';
import type { Compared, Comparison } from './report-compare.ts';
import { escape, plotFigure, shortNumber, type Plot, type Series } from './report-plot.ts';
import { STYLE } from './report-style.ts';
import { SHAPES } from './scenarios.ts';
import { parseRule } from './slo.ts';
import type { Verdict } from './slo-judge.ts';

/** Colours by outcome: the same in every report. What is not named gets the last one. */
const OUTCOME_COLOURS: Readonly<Record<string, number>> = {
  reserved: 4,
  sold_out: 1,
  sale_not_open: 6,
  try_again_later: 2,
  rate_limited: 3,
  purchase_in_flight: 7,
};

export function renderReport(run: LoadRun, comparison: Comparison): string {
  const { scenario, size, verdicts } = run;
  const missed = verdicts.filter(({ held }) => !held).length;
  const verdict =
    missed === 0
      ? `<span class="held">all ${verdicts.length} thresholds held</span>`
      : `<span class="missed">${missed} of ${verdicts.length} thresholds missed</span>`;
  const facts = `${size.buyers} buyers, ${size.rate} a second, ${size.stock} units, ${run.machineCores} cores`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(scenario)}: Flashsale load report</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escape(scenario)}</h1>
<p>${escape(SHAPES[scenario].about)}</p>
<p class="faint">${escape(facts)}; sale ${escape(run.sale)}; ${escape(run.startedAt)}</p>
<p class="verdict">${verdict}</p>
<h2>Thresholds</h2>
${thresholdTable(verdicts)}
<h2>Over time</h2>
<div class="plots">${plotsOf(run).map(plotFigure).join('\n')}</div>
<h2>Answers</h2>
${answerTable(run)}
<h2>Against the last run</h2>
${comparisonTable(comparison)}
<h2>Proof</h2>
${proofTable(run)}
</body>
</html>
`;
}

function thresholdTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ name, rule, value, held, reason }) => [
    escape(name),
    number(value === undefined ? 'not measured' : format(value)),
    number(escape(bound(rule))),
    held ? '<span class="held">held</span>' : '<span class="missed">missed</span>',
    `<span class="reason">${escape(reason)}</span>`,
  ]);
  return table(
    ['Threshold', number('is'), number('wanted'), '', wide('why')],
    rows.map((row) => [...row.slice(0, 4), wide(row[4] ?? '')]),
  );
}

/** `p(99) < 1000` for people. */
export function bound(rule: string): string {
  const { of, operator, bound: value } = parseRule(rule);
  const sign = { '<=': '≤', '>=': '≥', '==': '=' }[operator] ?? operator;
  const what = ['value', 'count', 'rate'].includes(of) ? '' : `${of} `;
  return `${what}${sign} ${value}`;
}

function plotsOf(run: LoadRun): Plot[] {
  const { slices, verdicts } = run;
  const at = slices.map((slice) => slice.at);
  const of = (label: string, colour: number, pick: (slice: Slice) => number | undefined): Series => ({
    label,
    colour,
    values: slices.map(pick),
  });
  const plots: Plot[] = [
    {
      title: 'Latency of a purchase',
      unit: 'ms',
      at,
      series: [of('p50', 1, ({ p50 }) => p50), of('p90', 2, ({ p90 }) => p90), of('p99', 3, ({ p99 }) => p99)],
      line: latencyLine(run, verdicts),
    },
    {
      title: 'Answers',
      unit: 'a second',
      at,
      series: [of('all', 1, ({ perSecond }) => Object.values(perSecond).reduce((sum, x) => sum + x, 0))],
    },
    {
      title: 'Answers by outcome',
      unit: 'a second, on top of each other',
      at,
      stacked: true,
      series: Object.keys(run.outcomes).map((outcome) =>
        of(outcome, OUTCOME_COLOURS[outcome] ?? 8, ({ perSecond }) => perSecond[outcome] ?? 0),
      ),
    },
    { title: 'Stock left', unit: 'units', at, series: [of('remaining', 4, ({ remaining }) => remaining)] },
    {
      title: 'CPU of the platform',
      unit: `cores, of ${run.machineCores}`,
      at,
      series: [of('all processes', 2, ({ cores }) => cores)],
    },
    { title: 'Memory of the platform', unit: 'MB', at, series: [of('all processes', 6, ({ memoryMb }) => memoryMb)] },
    { title: 'Latency of a page', unit: 'ms', at, series: [of('p95', 1, ({ pageP95 }) => pageP95)] },
  ];
  return plots.filter(({ series }) => series.some(({ values }) => values.some((value) => value !== undefined)));
}

/** The strictest threshold of purchases, where the plot is not dwarfed by it. */
function latencyLine({ slices }: LoadRun, verdicts: readonly Verdict[]): Plot['line'] {
  const rules = verdicts
    .filter(({ metric }) => metric.startsWith('http_req_duration{name:purchase'))
    .map(({ rule }) => rule);
  const strictest = rules
    .map((rule) => ({ rule, bound: parseRule(rule).bound }))
    .toSorted((a, b) => a.bound - b.bound)[0];
  const highest = Math.max(0, ...slices.map(({ p99 }) => p99 ?? 0));
  if (strictest === undefined || strictest.bound > highest * 4) return undefined;
  return { value: strictest.bound, label: bound(strictest.rule) };
}

function answerTable({ outcomes }: LoadRun): string {
  const all = Object.values(outcomes).reduce((sum, n) => sum + n, 0);
  const rows = Object.entries(outcomes)
    .toSorted(([, a], [, b]) => b - a)
    .map(([outcome, n]) => [escape(outcome), number(String(n)), number(`${((n / all) * 100).toFixed(1)} %`)]);
  return table(['Outcome', number('answers'), number('part')], rows);
}

function comparisonTable(comparison: Comparison): string {
  const { rows, unlike } = comparison;
  if (comparison.with === undefined) return '<p>This is the first run of the scenario on this machine.</p>';
  const words =
    unlike === undefined
      ? 'Differences up to the noise count as none: the scatter within the two runs, or that of earlier runs, whichever is more. Before the fourth run only what doubles or halves counts.'
      : `Not judged, for the runs are not alike: ${unlike}.`;
  return `<p class="faint">The run of ${escape(comparison.with)}. ${escape(words)}</p>${table(
    ['Figure', number('now'), number('before'), wideNumber('difference'), wideNumber('noise'), ''],
    rows.map(comparisonRow),
  )}`;
}

function comparisonRow({ name, unit, now, before, noise, change }: Compared): string[] {
  const difference = before === undefined ? '' : `${now > before ? '+' : ''}${format(now - before)}`;
  return [
    `${escape(name)} <span class="unit">${escape(unit)}</span>`,
    number(format(now)),
    number(before === undefined ? '–' : format(before)),
    wideNumber(difference),
    wideNumber(noise === undefined ? '' : `±${format(noise)}`),
    change === 'same' ? 'same' : `<span class="${change}">${change}</span>`,
  ];
}

function proofTable({ proof }: LoadRun): string {
  const { stock, free, held, sold, refunded, oversold, doubleBuyers, unsettled, problems, holds } = proof;
  const counts = { stock, free, held, sold, refunded, oversold, 'double buyers': doubleBuyers, unsettled };
  const words = holds ? '<span class="held">holds</span>' : '<span class="missed">does not hold</span>';
  const list = problems.length === 0 ? '' : `<ul>${problems.map((text) => `<li>${escape(text)}</li>`).join('')}</ul>`;
  const rows = Object.entries(counts).map(([name, value]) => [name, number(String(value))]);
  return `<p>Redis, Kafka and the ledger compared: ${words}</p>${list}${table(['', number('units or purchases')], rows)}`;
}

/** A cell with its class before a `|`: a number, or one that narrow windows leave out. */
const number = (text: string): string => `n|${text}`;
const wide = (text: string): string => `wide|${text}`;
const wideNumber = (text: string): string => `n wide|${text}`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (tag: string, text: string): string => {
    const [, kind, content = text] = /^(n wide|n|wide)\|(.*)$/s.exec(text) ?? [];
    return `<${tag}${kind === undefined ? '' : ` class="${kind}"`}>${content}</${tag}>`;
  };
  const line = (tag: string, cells: readonly string[]): string =>
    `<tr>${cells.map((text) => cell(tag, text)).join('')}</tr>`;
  return `<div class="scroll"><table><thead>${line('th', head)}</thead><tbody>${rows.map((row) => line('td', row)).join('')}</tbody></table></div>`;
}

/** Three digits, and no more than people can read. */
export function format(value: number): string {
  if (Number.isInteger(value)) return Math.abs(value) >= 1e5 ? shortNumber(value) : String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
