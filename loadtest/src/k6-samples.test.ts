/** K6's output gathered by time, and the record of a run made of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Histogram } from './histogram.ts';
import { K6Samples } from './k6-samples.ts';
import { figuresOf, memoryGrowth, slicesOf, type Reading } from './load-run.ts';

const HEAD = 'metric_name,timestamp,metric_value,name,scenario,status,extra_tags,metadata';

/** Ten seconds: each second ten purchases of 10 to 100 ms, the first half reserved. */
function tenSeconds(): K6Samples {
  const samples = new K6Samples();
  samples.line(HEAD);
  for (let second = 0; second < 10; second++) {
    for (let i = 1; i <= 10; i++) {
      const at = 1_000_000 + second * 1000 + i * 90;
      samples.line(`http_req_duration,${at},${i * 10}.000000,purchase,rush,202,,`);
      samples.line(`answers,${at},1.000000,,rush,,outcome=${second < 5 ? 'reserved' : 'sold_out'},`);
      samples.line(`http_req_duration,${at},1.0,status,settle,200,,`);
      samples.line(`iterations,${at},1.0,,rush,,,`);
    }
  }
  return samples;
}

const readings: Reading[] = Array.from({ length: 20 }, (_, i) => ({
  at: 1_000_000 + i * 500,
  remaining: Math.max(0, 50 - i * 5),
  cpuMs: i * 250,
  memoryMb: 100 + i,
}));

test('purchases and answers are counted by time and outcome, nothing else', () => {
  const samples = tenSeconds();
  assert.deepEqual(Object.fromEntries(samples.outcomes), { reserved: 50, sold_out: 50 });
  const slices = slicesOf(samples, readings);
  const [first] = slices;
  assert.equal(first?.at, 0.25);
  assert.equal(first.remaining, 45, 'the last reading in it');
  const perSecond = slices.map(({ perSecond }) => Object.values(perSecond).reduce((sum, n) => sum + n, 0));
  assert.equal(perSecond.reduce((sum, n) => sum + n, 0) / 2, 100, 'slices of half a second');
  assert.deepEqual(slices.at(-1)?.perSecond['reserved'], undefined);
  const cores = slices.flatMap((slice) => slice.cores ?? []);
  assert.ok(cores.length > 0 && cores.every((value) => Math.abs(value - 0.5) < 1e-9));
});

test('the figures of a run, each with its blocks', () => {
  const figures = new Map(figuresOf(tenSeconds(), readings).map((figure) => [figure.name, figure]));
  const p50 = figures.get('purchase p50');
  assert.ok(p50 && p50.value > 48 && p50.value < 52, String(p50?.value));
  assert.equal(p50.blocks.length, 8);
  assert.ok(figures.has('purchase p90'));
  assert.equal(figures.has('purchase p99'), false, 'one sample beyond it is chance');
  const cpu = figures.get('platform CPU a purchase');
  // 500 ms of CPU and 10 answers a second.
  assert.ok(cpu && Math.abs(cpu.value - 50) < 3, String(cpu?.value));
  assert.equal(figures.get('platform memory, most')?.value, 119);
  assert.equal(figures.has('page p95'), false, 'no page was looked at');
});

test('memory growth: the last fifth against the second', () => {
  assert.equal(memoryGrowth(readings), 118 / 106);
  assert.equal(memoryGrowth(readings.slice(0, 4)), undefined);
});

test('a run without a sample has no slices and only the figures of the platform', () => {
  assert.deepEqual(slicesOf(new K6Samples(), readings), []);
  assert.deepEqual(
    figuresOf(new K6Samples(), readings).map(({ name }) => name),
    ['platform memory, most'],
  );
});

test('property: a quantile is within 1 % of the exact one, merged or not', () => {
  const values = fc.array(fc.double({ min: 0.02, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(values, fc.integer({ min: 0, max: 200 }), fc.double({ min: 0, max: 1, noNaN: true }), (all, cut, q) => {
      const [one, two] = [new Histogram(), new Histogram()];
      all.slice(0, cut).forEach((value) => one.add(value));
      all.slice(cut).forEach((value) => two.add(value));
      one.merge(two);
      const exact = all.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(all.length * q)) - 1] ?? NaN;
      const told = one.quantile(q) ?? NaN;
      assert.ok(Math.abs(told / exact - 1) <= 0.0101, `${told} for ${exact}`);
    }),
  );
  assert.equal(new Histogram().quantile(0.5), undefined);
});
