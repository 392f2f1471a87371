/** `npm run chaos [-- --fault PART -o json]`: real faults in the middle of a rush, one after the other, and what each cost. See README.md. */
import { parseArgs } from 'node:util';
import { runCommand, UsageError } from '../command.ts';
import { table } from '../figures.ts';
import type { Fault } from './fault.ts';
import { FAULTS, faultsNamed } from './faults.ts';
import { Ground, type GroundKind } from './ground.ts';
import { openPulse } from './recovery.ts';
import { runFault, type Crowd, type Row } from './run-fault.ts';

const HELP = `npm run chaos [-- OPTIONS]
Starts the whole platform with its servers behind toxiproxy, and for each fault of the table sends a crowd at a sale,
lets the fault strike in the middle, and takes the proof. Exit 1 where a promise is broken.

  --fault PART     only faults whose name holds PART; may be given several times
  --list           the names of the faults
  --buyers N       in each crowd (default 1600); a quarter of it is on sale
  --concurrency C  purchases under way at once (default 64)
  -o, --output F   table (default) or json
  -h, --help       this text
`;

/** What the others are compared with. */
const QUIET: Fault = { name: 'quiet', lastsMs: 0, strike: () => Promise.resolve(() => Promise.resolve()) };
const HEAD = ['fault', 'recovery s', 'lost', 'oversold', 'unsettled', 'left over', 'p99 wait ms', 'x quiet', 'retries'];
const NOTE = `
recovery: from when the fault was cleared until the first buyer who came after that had paid. lost: told "paid" but not in
the ledger. left over: units free at the end though buyers were told "sold out". p99 wait: from a buyer's first try to his
answer, further tries included.
`;

const { values } = parseArgs({
  options: {
    fault: { type: 'string', multiple: true, default: [] },
    list: { type: 'boolean', default: false },
    buyers: { type: 'string', default: '1600' },
    concurrency: { type: 'string', default: '64' },
    output: { type: 'string', short: 'o', default: 'table' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

await runCommand('chaos', async (signal) => {
  if (values.help || values.list) {
    process.stdout.write(values.help ? HELP : FAULTS.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  const rows = await runAll(chosen(), crowd(), signal);
  process.stdout.write(
    values.output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : `${table([HEAD, ...rows.map(line)])}\n${NOTE}`,
  );
  return rows.some(({ problems }) => problems.length > 0) ? 1 : 0;
});

// Where a run failed, buyers of its crowd may still be waiting for their endings.
process.exit();

function chosen(): readonly Fault[] {
  try {
    return faultsNamed(values.fault);
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(`${error.message}: see --list`) : error;
  }
}

function crowd(): Crowd {
  const [buyers, concurrency] = [Number(values.buyers), Number(values.concurrency)];
  if (!(buyers >= 40 && buyers <= 100_000 && concurrency >= 1)) throw new UsageError('write 40 to 100000 buyers');
  return { buyers, stock: Math.floor(buyers / 4), concurrency };
}

interface Result extends Row {
  /** The wait, in those of the same ground without a fault. */
  readonly againstQuiet: number;
}

async function runAll(faults: readonly Fault[], size: Crowd, signal: AbortSignal): Promise<Result[]> {
  const rows: Result[] = [];
  for (const kind of ['usual', 'cluster', 'disks'] as const) {
    const here = faults.filter(({ ground = 'usual' }) => ground === kind);
    if (here.length > 0) rows.push(...(await runOn(kind, here, size, signal)));
  }
  return rows;
}

async function runOn(kind: GroundKind, faults: readonly Fault[], size: Crowd, signal: AbortSignal): Promise<Result[]> {
  const ground = await Ground.start(kind);
  const rows: Result[] = [];
  try {
    await openPulse(ground.platform);
    // The first crowd meets cold caches and code that was never run: it is not what the others are compared with.
    await runFault(ground, QUIET, `${kind}-warm`, size);
    let quiet: Row | undefined;
    for (const [i, fault] of [{ ...QUIET, name: `quiet (${kind})` }, ...faults].entries()) {
      signal.throwIfAborted();
      process.stderr.write(`[${kind} ${i}/${faults.length}] ${fault.name}\n`);
      const row = await runFault(ground, fault, `${kind}-${i}`, size);
      quiet ??= row;
      const result = { ...row, againstQuiet: Math.round((10 * row.waitP99Ms) / quiet.waitP99Ms) / 10 };
      rows.push(result);
      process.stderr.write(`  ${line(result).slice(1).join('  ')}\n`);
      for (const problem of row.problems) process.stderr.write(`${fault.name}: ${problem}\n`);
    }
    return rows;
  } finally {
    await ground.end();
  }
}

function line(row: Result): string[] {
  return [
    row.fault,
    row.recoveryS?.toFixed(2) ?? 'never',
    ...[row.lost, row.oversold, row.unsettled, row.leftOver].map(String),
    row.waitP99Ms.toFixed(0),
    row.againstQuiet.toFixed(1),
    String(row.retries),
  ];
}
