/** The report of a run and its comparison with another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RECORD_FORM, type Figure, type LoadRun } from './load-run.ts';
import { compare, historyOf, noiseOf } from './report-compare.ts';
import { escape, plotFigure, scaleOf, shortNumber } from './report-plot.ts';
import { bound, format, renderReport } from './report.ts';
import { sizeOf } from './scenarios.ts';

const figure = (value: number, blocks: number[] = [], name = 'purchase p99'): Figure => ({
  name,
  unit: 'ms',
  better: 'lower',
  value,
  blocks,
});

function runOf(figures: Figure[], held = true): LoadRun {
  return {
    form: RECORD_FORM,
    scenario: 'open-rush',
    sale: 'load-<b>',
    startedAt: '2026-12-01T10:00:00.000Z',
    size: sizeOf('open-rush', {}),
    machineCores: 2,
    slices: [0, 1, 2, 3].map((at) => ({
      at,
      p50: 5 + at,
      p90: 20,
      p99: at === 2 ? undefined : 60,
      perSecond: { reserved: 100, sold_out: at * 10 },
      remaining: 100 - at * 25,
      cores: 0.5,
      memoryMb: 900,
    })),
    outcomes: { reserved: 400, sold_out: 60, 'odd <code>': 1 },
    figures,
    history: {},
    verdicts: [
      {
        name: 'a purchase',
        metric: 'http_req_duration{name:purchase}',
        rule: 'p(99)<100',
        reason: 'R.',
        value: 61.234,
        held,
      },
      { name: 'sold', metric: 'units_sold', rule: 'value==1000', reason: 'S.', value: undefined, held: false },
    ],
    proof: {
      sale: 'load-<b>',
      stock: 1000,
      free: 0,
      held: 0,
      sold: 1000,
      refunded: 0,
      oversold: 0,
      doubleBuyers: 0,
      unsettled: 0,
      problems: ['one & another'],
      holds: false,
    },
  };
}

/** Four earlier runs lay close together. */
const CALM = { 'purchase p99': [98, 100, 101, 102] };

test('a difference beyond the noise is better or worse, by what the figure is about', () => {
  const change = (now: Figure, before: Figure, history: LoadRun['history'] = CALM): string | undefined =>
    compare({ ...runOf([now]), history }, runOf([before])).rows[0]?.change;
  assert.equal(change(figure(150), figure(100)), 'worse');
  assert.equal(change(figure(100), figure(150)), 'better');
  assert.equal(change({ ...figure(150), better: 'higher' }, { ...figure(100), better: 'higher' }), 'better');
  assert.equal(change(figure(115), figure(100)), 'same');
  assert.equal(change(figure(3), figure(1.5)), 'same', 'nobody feels 2 ms');
  assert.equal(change(figure(150), figure(100), {}), 'same', 'nobody knows yet by how much equal runs differ');
  assert.equal(change(figure(250), figure(100), {}), 'worse');
  assert.equal(
    change(figure(150), figure(100), { 'purchase p99': [60, 140, 100, 150] }),
    'same',
    'equal runs differ by more',
  );
});

test('what scatters much within the runs must differ more', () => {
  const [wild, calm] = [
    [20, 400, 30, 350],
    [195, 205, 200, 200],
  ];
  const change = (blocks: number[]): string | undefined =>
    compare({ ...runOf([figure(200, blocks)]), history: CALM }, runOf([figure(100, blocks)])).rows[0]?.change;
  assert.equal(change(wild), 'same');
  assert.equal(change(calm), 'worse');
});

test('property: noise is the same both ways and never below what is too little to be worth a word', () => {
  const value = fc.double({ min: 0.1, max: 1e4, noNaN: true });
  const blocks = fc.array(value, { maxLength: 8 });
  fc.assert(
    fc.property(value, value, blocks, blocks, blocks, (x, y, of, others, history) => {
      const [a, b] = [figure(x, of), figure(y, others)];
      const noise = noiseOf(a, b, history);
      assert.equal(noise, noiseOf(b, a, history));
      assert.ok(noise >= Math.max(2, 0.2 * Math.min(x, y)));
    }),
  );
});

test('a record carries the figures of earlier runs on, ten at most, and none of runs that were not alike', () => {
  const before = { ...runOf([figure(7)]), history: { 'purchase p99': Array.from({ length: 10 }, (_, i) => i) } };
  assert.deepEqual(historyOf(runOf([figure(8)]), before), { 'purchase p99': [1, 2, 3, 4, 5, 6, 7, 8, 9, 7] });
  assert.deepEqual(historyOf({ ...runOf([]), machineCores: 4 }, before), {});
  assert.deepEqual(historyOf(runOf([]), undefined), {});
});

test('runs that are not alike are not judged, a first run has nothing to be compared with', () => {
  const before = { ...runOf([figure(10)]), size: sizeOf('open-rush', { buyers: 500 }) };
  const unlike = compare(runOf([figure(1000)]), before);
  assert.match(unlike.unlike ?? '', /buyers was 500, is 2000; seconds was 3, is 10/);
  assert.equal(unlike.rows[0]?.change, 'same');
  assert.equal(compare(runOf([figure(1000)]), undefined).rows[0]?.change, 'new');
});

test('the report says what was held and missed, is whole in itself, and shows text as text', () => {
  const run = { ...runOf([figure(200, [190, 210])]), history: CALM };
  const html = renderReport(run, compare(run, runOf([figure(100, [95, 105])])));
  assert.match(html, /1 of 2 thresholds missed/);
  assert.match(html, /class="worse">worse</);
  assert.match(html, /not measured/);
  assert.match(html, /load-&lt;b&gt;/);
  assert.match(html, /odd &lt;code&gt;/);
  assert.match(html, /one &amp; another/);
  assert.doesNotMatch(html, /<script|<link|src=|@import|url\(|https?:\/\//, 'nothing from elsewhere');
  assert.equal(html.match(/<figure>/g)?.length, 6, 'no plot of pages where none was looked at');
  assert.doesNotMatch(html, /NaN|undefined|Infinity/);
});

test('an empty run makes a report as well', () => {
  const run = { ...runOf([]), slices: [], outcomes: {} };
  const html = renderReport(run, compare(run, undefined));
  assert.match(html, /first run of the scenario/);
  assert.doesNotMatch(html, /NaN|undefined|Infinity/);
});

test('a line breaks where nothing was measured; areas stand on each other', () => {
  const at = [0, 1, 2, 3];
  const line = plotFigure({
    title: 'T',
    unit: 'ms',
    at,
    series: [{ label: 'a', colour: 1, values: [1, 2, undefined, 3] }],
  });
  assert.equal(line.match(/<polyline/g)?.length, 1);
  assert.equal(line.match(/<circle/g)?.length, 1, 'a lone point');
  const series = [
    { label: 'a', colour: 1, values: [2, 2] },
    { label: 'b', colour: 2, values: [3, 1] },
  ];
  const areas = plotFigure({ title: 'T', unit: 'x', at: [0, 1], series, stacked: true });
  const corners = [...areas.matchAll(/points="([^"]+)"/g)].map(([, points = '']) => points.split(' '));
  assert.deepEqual(corners[1]?.slice(2).toReversed(), corners[0]?.slice(0, 2), 'b begins where a ends');
});

test('scales are round and hold the highest value', () => {
  assert.deepEqual(scaleOf(87).ticks, [0, 50, 100]);
  assert.deepEqual(scaleOf(0.3).ticks, [0, 0.1, 0.2, 0.3]);
  assert.deepEqual(scaleOf(0), { top: 1, ticks: [0, 0.5, 1] });
  for (const highest of [1e-3, 0.7, 3, 999, 1001, 123_456]) assert.ok(scaleOf(highest).top >= highest);
});

test('numbers and rules for people', () => {
  assert.deepEqual([format(0.12345), format(61.234), format(1234.5), format(7)], ['0.123', '61.2', '1235', '7']);
  assert.deepEqual([shortNumber(1500), shortNumber(25_000), shortNumber(3.2e6)], ['1500', '25k', '3.2M']);
  assert.deepEqual([bound('p(99)<1000'), bound('value==5'), bound('rate>=0.5')], ['p(99) < 1000', '= 5', '≥ 0.5']);
  assert.equal(escape(`<a b="c">&'`), '&lt;a b=&quot;c&quot;&gt;&amp;&#39;');
});
