/** `npm run bench:operator [-- -o json]`: what the operator costs: 500 sales that wait, and one pass of a sale. See README.md. */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Phase } from '@flashsale/sale';
import { startOperatorBench, type OperatorBench, type Spec } from './operator-bench.ts';
import { table } from './figures.ts';

interface Goal {
  readonly name: string;
  readonly value: number;
  readonly below: number;
  readonly unit: string;
}

const { values } = parseArgs({
  options: {
    output: { type: 'string', short: 'o', default: 'table' },
    sales: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    active: { type: 'string', default: '20' },
    idle: { type: 'boolean', default: false },
  },
});
const sales = Number(values.sales);
const seconds = Number(values.seconds);
const active = Number(values.active);

/** After the last sale has come to rest: garbage of the start is collected, connections are quiet. */
const SETTLE_MS = 20_000;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const OPEN_MS = 90_000;

/** A tenth is over and was proven, a tenth was never opened, the others wait for their opening in a month. */
function idleSales(): Map<string, Spec> {
  const now = Date.now();
  const kinds: Readonly<Record<'closed' | 'aborted' | 'scheduled', Spec>> = {
    closed: { opensAt: now - MINUTE_MS, closesAt: now + OPEN_MS },
    aborted: { opensAt: now - 2 * MINUTE_MS, closesAt: now - MINUTE_MS },
    scheduled: { opensAt: now + 30 * DAY_MS, closesAt: now + 31 * DAY_MS },
  };
  // The first ones: they have to be open before they close.
  const kindOf = (n: number) => (n < sales / 10 ? 'closed' : n < sales / 5 ? 'aborted' : 'scheduled');
  return new Map(Array.from({ length: sales }, (_, n) => [`${kindOf(n)}-${n}`, kinds[kindOf(n)]]));
}

function activeSales(phase: Phase, opensAt: number): Map<string, Spec> {
  const spec = { opensAt, closesAt: opensAt + DAY_MS };
  return new Map(Array.from({ length: active }, (_, n) => [`${phase.toLowerCase()}-${n}`, spec]));
}

function say(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}

async function measureIdle(bench: OperatorBench): Promise<Goal[]> {
  await bench.apply(idleSales());
  say(`${sales} sales are applied`);
  await bench.until('at rest', (name, status) => {
    if (name.startsWith('closed')) return status?.phase === 'Closed' && status.proof?.holds === true;
    return status?.phase === (name.startsWith('aborted') ? 'Aborted' : 'Scheduled');
  });
  say('they are at rest');
  await pause(SETTLE_MS);
  const idle = await bench.over(seconds * 1000);
  say(`idle: ${JSON.stringify(idle)}`);
  return [
    { name: `${sales} idle sales: CPU of a core`, value: idle.share * 100, below: 1, unit: '%' },
    { name: `${sales} idle sales: resident memory`, value: idle.memoryMb, below: 120, unit: 'MB' },
  ];
}

/** CPU of all that happens while passes are made, by the passes: what is shared by them counts as theirs. */
async function measurePasses(bench: OperatorBench): Promise<Goal[]> {
  const goals: Goal[] = [];
  const scheduled = [...idleSales().keys()].filter((name) => name.startsWith('scheduled'));
  const edited = await bench.during(() => bench.edit(scheduled));
  say(`edited: ${JSON.stringify(edited)}`);
  goals.push({ name: 'one pass of an edited sale, written', value: edited.msAPass, below: 5, unit: 'ms' });
  for (const [phase, opensAt] of [
    ['Armed', Date.now() + 5 * MINUTE_MS],
    ['Open', Date.now() - MINUTE_MS],
  ] as const) {
    const names = activeSales(phase, opensAt);
    await bench.apply(names);
    await bench.until(phase, (name, status) => !names.has(name) || status?.phase === phase);
    const use = await bench.over(30_000);
    say(`${phase}: ${JSON.stringify(use)}`);
    goals.push({ name: `one pass of an ${phase} sale (${active} of them)`, value: use.msAPass, below: 5, unit: 'ms' });
    await bench.remove([...names.keys()]);
  }
  return goals;
}

const bench = await startOperatorBench();
try {
  const goals = [...(await measureIdle(bench)), ...(values.idle ? [] : await measurePasses(bench))];
  const rows = goals.map(({ name, value, below, unit }) => [
    name,
    `${value.toFixed(2)} ${unit}`,
    `${below} ${unit}`,
    value < below ? 'held' : 'missed',
  ]);
  const asJson = Object.fromEntries(goals.map(({ name, value, below, unit }) => [name, { value, below, unit }]));
  process.stdout.write(
    values.output === 'json'
      ? `${JSON.stringify(asJson, null, 2)}\n`
      : `${table([['Operator', 'is', 'below', ''], ...rows])}\n`,
  );
} finally {
  await bench.stop();
}
// What started the servers ends them at the exit of this process.
process.exit(0);
