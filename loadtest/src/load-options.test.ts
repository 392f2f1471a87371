/** What the command line of `npm run load` understands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './command.ts';
import { helpText, readOptions } from './load-options.ts';
import { SCENARIOS } from './scenarios.ts';

test('a scenario, its size and where the report goes', () => {
  assert.deepEqual(
    readOptions(['soak', '--duration', '2m', '--rate', '10', '--up', '--report', 'a.html', '-o', 'json']),
    {
      scenario: 'soak',
      size: { buyers: 1200, rate: 10, seconds: 120, stock: 1200 },
      up: true,
      output: 'json',
      report: 'a.html',
    },
  );
});

test('wrong use is told in words', () => {
  const refused = (args: string[], words: RegExp): void =>
    assert.throws(
      () => readOptions(args),
      (error) => error instanceof UsageError && words.test(error.message),
    );
  refused([], /name one scenario: smoke, open-rush/);
  refused(['nonsense'], /name one scenario/);
  refused(['smoke', 'spike'], /name one scenario/);
  refused(['smoke', '--buyers', '0'], /--buyers is a whole number from 1, not "0"/);
  refused(['smoke', '--duration', '30'], /--duration is such as 30s/);
  refused(['smoke', '--buyers', '9', '--rate', '9', '--duration', '1s'], /two of --buyers/);
  refused(['smoke', '--nope'], /nope/);
  refused(['smoke', '-o', 'xml'], /-o is json/);
});

test('the help names every scenario with its size', () => {
  assert.equal(readOptions(['--help']), undefined);
  const text = helpText();
  for (const name of SCENARIOS) assert.match(text, new RegExp(`^  ${name} `, 'm'));
  assert.match(text, /\(2000 buyers, 200 a second, 10s, 1000 units\)/);
});
