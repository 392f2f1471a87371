/** `npm run peers -- --folder F --start 'CMD' --adapter FILE`: a peer and us, side by side, with the same crowd. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { urlOf } from '@flashsale/local/commands/crowd';
import type { Adapter } from '../peers/adapter.ts';
import { flashsale } from '../peers/flashsale.ts';
import { runCommand, UsageError } from './command.ts';
import { borrowPlatform } from './load-platform.ts';
import { play, type MatchOptions } from './peers-match.ts';
import { startPeer, type PeerCommand } from './peers-process.ts';
import { asTable } from './peers-result.ts';
import { useOf } from './process-tree.ts';

const HELP = `usage: npm run peers -- --folder DIR --start 'COMMAND' --adapter FILE [options]

Sends the same crowd at a peer and at us, by turns, and prints what each sold for a second of CPU (of all its processes
and servers), how long its buyers waited, what it oversold and what it lost. Fetches nothing: DIR is a checkout of the
peer that runs. The adapter is one small file: see loadtest/peers/adapter.ts and loadtest/peers/naive-shop/adapter.ts.

  --folder DIR      where the peer's command runs
  --start COMMAND   starts it in the foreground, on the port in the environment variable PORT
  --adapter FILE    its adapter: a module that exports \`adapter\`
  --port N          where the peer listens, where it does not read PORT
  --server-pid N    a server that the peer uses and did not start (its CPU counts); may be repeated
  --buyers N        different buyers a round (1000)      --stock N        units a round (half of the buyers)
  --concurrency C   purchases under way at once (64)     --seconds S      budget of a crowd (60)
  --rounds N        measured rounds (3)                  --seed S         order of the buyers (1)
  --up              starts our platform where none is running, and stops it afterwards
  -o json           instead of a table
`;

const { values } = parse();
await runCommand('peers', main);

async function main(signal: AbortSignal): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const options = matchOptions();
  const command = peerCommand();
  const adapter = await loadAdapter(values.adapter);
  const platform = await borrowPlatform(values.up);
  try {
    const peer = await startPeer(command, signal);
    try {
      const { running } = platform;
      const us = {
        adapter: flashsale(running),
        shop: { origin: urlOf(running, 'EDGE_URL') },
        cpuMs: () => useOf([running.pid]).cpuMs,
      };
      const results = await play([us, { adapter, shop: peer, cpuMs: () => peer.cpuMs() }], options, signal);
      process.stdout.write(values.output === 'json' ? `${JSON.stringify(results)}\n` : `${asTable(results)}\n`);
      return 0;
    } finally {
      await peer.stop();
    }
  } finally {
    await platform.end();
  }
}

function parse() {
  try {
    return parseArgs({
      options: {
        folder: { type: 'string' },
        start: { type: 'string' },
        adapter: { type: 'string' },
        port: { type: 'string' },
        'server-pid': { type: 'string', multiple: true, default: [] },
        buyers: { type: 'string', default: '1000' },
        stock: { type: 'string' },
        concurrency: { type: 'string', default: '64' },
        seconds: { type: 'string', default: '60' },
        rounds: { type: 'string', default: '3' },
        seed: { type: 'string', default: '1' },
        up: { type: 'boolean', default: false },
        output: { type: 'string', short: 'o', default: 'table' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    console.error(`peers: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

function matchOptions(): MatchOptions {
  const buyers = whole('buyers', values.buyers, 100_000);
  return {
    buyers,
    stock: values.stock === undefined ? Math.ceil(buyers / 2) : whole('stock', values.stock, 1_000_000),
    concurrency: whole('concurrency', values.concurrency, 1_000),
    budgetMs: whole('seconds', values.seconds, 600) * 1000,
    rounds: whole('rounds', values.rounds, 20),
    seed: whole('seed', values.seed, 2 ** 31),
    id: Date.now().toString(36),
    onRound: (name, round, { bought, seconds, cpuMs }) =>
      console.error(
        `round ${round}, ${name}: ${bought} bought in ${seconds.toFixed(1)} s, ${(cpuMs / 1000).toFixed(1)} s of CPU`,
      ),
  };
}

function peerCommand(): PeerCommand {
  const { folder, start, port } = values;
  if (folder === undefined || start === undefined) throw new UsageError('give --folder and --start (see --help)');
  return {
    folder: resolve(folder),
    start,
    port: port === undefined ? undefined : whole('port', port, 65_535),
    servers: values['server-pid'].map((pid) => whole('server-pid', pid, 2 ** 22)),
  };
}

async function loadAdapter(file: string | undefined): Promise<Adapter> {
  if (file === undefined) throw new UsageError('give --adapter (see --help)');
  const module = (await import(pathToFileURL(resolve(file)).href)) as { adapter?: Adapter };
  if (module.adapter === undefined) throw new UsageError(`${file} exports no \`adapter\``);
  return module.adapter;
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`--${name} is 1 to ${most}, not "${text}"`);
  return value;
}
