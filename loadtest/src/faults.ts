/** `npm run faults [-- -o json] [PART OF A NAME]`: how soon reflector and operator are right after each fault. See README.md. */
import { parseArgs } from 'node:util';
import { excesses, FAULTS, outcomeOf, WATCHDOG_MS, withinS, type Outcome } from '@flashsale/kube/faults/faults.fixture';
import { REFLECTOR, startReflecting } from '@flashsale/kube/faults/reflecting.fixture';
import { testRedis } from '@flashsale/local/testing';
import { OPERATOR, startOperating } from '@flashsale/operator/kube/operating.fixture';
import { table } from './figures.ts';

const { values, positionals } = parseArgs({
  options: { output: { type: 'string', short: 'o', default: 'table' } },
  allowPositionals: true,
});
const [part = ''] = positionals;

interface Row {
  readonly fault: string;
  readonly lasts: string;
  readonly reflector: Figures;
  readonly operator: Figures;
}

interface Figures {
  readonly seconds: number;
  readonly withinSeconds: number;
  readonly requests: number;
  readonly lists: number;
}

const HEAD = [
  'fault',
  'lasts',
  'reflector s',
  'within',
  'requests',
  'lists',
  'operator s',
  'within',
  'requests',
  'lists',
];
const NOTE = `
s: until all is as the server has it: from when it struck (once), from when the server behaves again, or from the last
change (always). requests, lists: from the beginning of the fault. Watchdog ${WATCHDOG_MS / 1000} s here, 90 s where it is not set.
`;

const figures = ({ seconds, requests, lists }: Outcome, within: number): Figures => ({
  seconds: Math.round(seconds * 100) / 100,
  withinSeconds: within,
  requests,
  lists,
});
const cells = ({ seconds, withinSeconds, requests, lists }: Figures): string[] => [
  seconds.toFixed(2),
  String(withinSeconds),
  String(requests),
  String(lists),
];

const redis = await testRedis();
const rows: Row[] = [];
const problems: string[] = [];
for (const fault of FAULTS.filter(({ name }) => name.includes(part))) {
  process.stderr.write(`${fault.name} …\n`);
  const reflector = await outcomeOf(fault, startReflecting);
  const operator = await outcomeOf(fault, startOperating(redis));
  rows.push({
    fault: fault.name,
    lasts: reflector.lasts,
    reflector: figures(reflector, withinS(fault, REFLECTOR)),
    operator: figures(operator, withinS(fault, OPERATOR)),
  });
  problems.push(...excesses(fault, reflector, REFLECTOR).map((text) => `${fault.name}: reflector: ${text}`));
  problems.push(...excesses(fault, operator, OPERATOR).map((text) => `${fault.name}: operator: ${text}`));
}
const lines = rows.map((row) => [row.fault, row.lasts, ...cells(row.reflector), ...cells(row.operator)]);
process.stdout.write(
  values.output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : `${table([HEAD, ...lines])}\n${NOTE}`,
);
for (const problem of problems) process.stderr.write(`${problem}\n`);
// What started Redis ends it at the exit of this process.
process.exit(problems.length > 0 || rows.length === 0 ? 1 : 0);
