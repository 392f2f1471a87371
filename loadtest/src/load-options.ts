/** The command line of `npm run load`: what it understands, its help, what is wrong with what was typed. Pure. */
import { parseArgs } from 'node:util';
import { formatDuration, parseDuration } from '@flashsale/sale';
import { UsageError } from './command.ts';
import { SCENARIOS, SHAPES, sizeOf, type Scenario, type Size } from './scenarios.ts';

export interface LoadOptions {
  readonly scenario: Scenario;
  readonly size: Size;
  readonly up: boolean;
  readonly output: 'text' | 'json';
  /** Where the report goes; undefined: beside the record of the run. */
  readonly report: string | undefined;
}

const OPTIONS = {
  buyers: { type: 'string' },
  rate: { type: 'string' },
  duration: { type: 'string' },
  stock: { type: 'string' },
  report: { type: 'string' },
  up: { type: 'boolean', default: false },
  output: { type: 'string', short: 'o', default: 'text' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export function helpText(): string {
  const rows = SCENARIOS.map((name) => {
    const { buyers, rate, seconds, stock } = sizeOf(name, {});
    const size = `${buyers} buyers, ${rate} a second, ${formatDuration(seconds * 1000)}, ${stock} units`;
    return `  ${name.padEnd(16)}${SHAPES[name].about}\n${' '.repeat(18)}(${size})`;
  });
  return `usage: npm run load -- SCENARIO [options]

Sends a crowd at a sale of its own on the running platform, follows it to the end, takes the proof, and says which
thresholds (loadtest/src/slo.ts) were held. Writes an HTML report with plots, compared with the last run.
Exit code 0: all held; 1: one was missed; 2: wrong use.

scenarios, and what they are where you say nothing:
${rows.join('\n')}

options:
  --buyers N      different buyers, each with one purchase to make
  --rate R        buyers that arrive in a second; of a spike the declared demand
  --duration D    how long they arrive, such as 30s or 10m; two of the three make the third
  --stock N       units on sale
  --up            starts a platform for this run where none is running, and stops it afterwards
  --report FILE   where the report goes
  -o json         prints the record of the run instead of text
`;
}

/** Undefined: help was asked for. Throws UsageError. */
export function readOptions(args: readonly string[]): LoadOptions | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [name, ...others] = positionals;
  const scenario = SCENARIOS.find((known) => known === name);
  if (scenario === undefined || others.length > 0) throw new UsageError(`name one scenario: ${SCENARIOS.join(', ')}`);
  if (values.output !== 'text' && values.output !== 'json') throw new UsageError('-o is json or left out');
  return { scenario, size: readSize(scenario, values), up: values.up, output: values.output, report: values.report };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readSize(
  scenario: Scenario,
  { buyers, rate, duration, stock }: Readonly<Partial<Record<'buyers' | 'rate' | 'duration' | 'stock', string>>>,
): Size {
  try {
    return sizeOf(scenario, {
      buyers: count('buyers', buyers),
      rate: count('rate', rate),
      seconds: seconds(duration),
      stock: count('stock', stock),
    });
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} is a whole number from 1, not "${text}"`);
  return Number(text);
}

function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000) throw new UsageError(`--duration is such as 30s or 10m, not "${text}"`);
  return Math.ceil(ms / 1000);
}
