/** Real processes of the platform for tests of the operator's own: started, heard and ended; payments and buyers. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { testDatabase } from '@flashsale/local/testing';
import { createKafka, type EventProducer } from '@flashsale/platform/kafka';
import { createLogger } from '@flashsale/platform/log';
import { purchaseId, TOPICS, type PublishedSale, type SaleEvent, type SaleStore } from '@flashsale/sale';

const log = createLogger('test', 'silent');
export const SKU = 'shoe';
export const BOUGHT = 8;
const UNTIL_MS = 60_000;
const BUNDLE_MS = 120_000;

export interface Service {
  readonly url: string;
  readonly child: ChildProcess;
  /** The messages that it has logged. */
  readonly said: ReadonlySet<string>;
  /** Resolves once the process has logged the message. */
  heard(message: string): Promise<void>;
}

/** How a process is run, where not as its tests are. */
export interface Confinement {
  /** Arguments of Node, before the script. */
  readonly node: readonly string[];
  readonly cwd: string;
  /** User and group; those of the tests where absent. */
  readonly id?: number;
}

/** Starts a process and waits for its ready line. */
export async function start(
  cleanup: AsyncDisposableStack,
  main: string,
  env: Record<string, string>,
  { node, cwd, id }: Confinement = { node: [], cwd: process.cwd() },
): Promise<Service> {
  if (cleanup.disposed) throw new Error(`${main} is not started any more`);
  const child = spawn(process.execPath, [...node, fileURLToPath(new URL(main, import.meta.url))], {
    env: { ...process.env, PORT: '0', ADMIN_PORT: '0', LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd,
    ...(id === undefined ? {} : { uid: id, gid: id }),
  });
  cleanup.defer(() => end(child, 'SIGKILL').then(() => undefined));
  const ready = Promise.withResolvers<number>();
  const last: string[] = [];
  const said = new Set<string>();
  const bell = new EventEmitter();
  createInterface({ input: child.stdout }).on('line', (line) => {
    last.push(line);
    if (last.length > 20) last.shift();
    const { msg = '', port } = JSON.parse(line) as { msg?: string; port?: number };
    said.add(msg);
    bell.emit('said');
    if (msg === 'ready') ready.resolve(port ?? 0);
  });
  child.once('exit', (code) => ready.reject(new Error(`${main} ended with ${code}:\n${last.join('\n')}`)));
  const heard = async (message: string): Promise<void> => {
    const signal = AbortSignal.timeout(UNTIL_MS);
    while (!said.has(message)) await once(bell, 'said', { signal });
  };
  return { url: `http://127.0.0.1:${await ready.promise}`, child, said, heard };
}

interface Container {
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
}

/** The container of config/manager.yaml. */
function managerContainer(): Container {
  const file = new URL('../config/manager.yaml', import.meta.url);
  const documents = parseAllDocuments(readFileSync(file, 'utf8')).map((one) => one.toJS() as Deployment);
  const container = documents.flatMap(({ spec }) => spec?.template?.spec.containers ?? [])[0];
  if (!container) throw new Error('config/manager.yaml has no container');
  return container;
}

interface Deployment {
  readonly spec?: { readonly template?: { readonly spec: { readonly containers: readonly Container[] } } };
}

/** The operator as its image runs it: made from the sources as they are, with what config/manager.yaml gives it. */
export interface BundledOperator {
  readonly main: string;
  /** Options of Node. */
  readonly node: readonly string[];
  /** What keeps its memory small. */
  readonly env: Readonly<Record<string, string>>;
}

export async function bundledOperator(): Promise<BundledOperator> {
  const script = fileURLToPath(new URL('../../scripts/bundle.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: BUNDLE_MS });
  const { command, env } = managerContainer();
  return {
    main: pathToFileURL(resolve(stdout.trim())).href,
    node: command.filter((word) => word.startsWith('--')),
    env: Object.fromEntries(env.flatMap(({ name, value }) => (/^MALLOC_/.test(name) ? [[name, value ?? '']] : []))),
  };
}

/** The real catalog, on a database of its own. Resolves to its address. */
export async function startCatalog(cleanup: AsyncDisposableStack, redisUrl: string): Promise<string> {
  const env = { REDIS_URL: redisUrl, DATABASE_URL: await testDatabase() };
  return (await start(cleanup, '../../services/catalog/src/main.ts', env)).url;
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exited) as [number | null];
  return code;
}

/** What payments does, with enough credit for all. */
export async function payments(cleanup: AsyncDisposableStack, brokers: string): Promise<EventProducer> {
  const kafka = createKafka({ brokers, clientId: 'payments', log });
  const producer = kafka.producer();
  const charge = kafka.consumer({
    group: 'payments',
    topics: [TOPICS.purchases],
    handle: async (events) => {
      const paid = events.filter((event) => event.type === 'reserved').map(paidOf);
      await producer.send(TOPICS.payments, paid);
      return [];
    },
  });
  const refunds = kafka.consumer({
    group: 'payments-refunds',
    topics: [TOPICS.refunds],
    handle: () => Promise.resolve([]),
  });
  for (const part of [kafka.ensureTopics(1), producer, charge, refunds]) {
    await part.start?.();
    cleanup.defer(async () => {
      await part.drain?.();
      await part.stop?.();
    });
  }
  return producer;
}

function paidOf(event: SaleEvent): SaleEvent {
  const { id, sale, sku, quantity, buyer, amountMinor, currency, epoch, correlationId } = event;
  return { id, sale, sku, quantity, buyer, amountMinor, currency, epoch, correlationId, type: 'paid', at: Date.now() };
}

export async function buy(store: SaleStore, sale: PublishedSale): Promise<string[]> {
  const codes: string[] = [];
  for (let n = 0; n < BOUGHT; n++) {
    const shard = n % sale.warm.shards;
    const id = purchaseId(sale.name, shard, randomBytes(17).toString('base64url').slice(0, 22));
    const request = { id, buyer: { id: `b-${n}`, number: n }, quantity: 1, correlationId: id };
    const [answer] = await store.reserve(sale, { sale: sale.name, shard, sku: SKU }, [request]);
    codes.push(answer?.code ?? 'none');
  }
  return codes;
}

export async function relay(store: SaleStore, sale: PublishedSale, producer: EventProducer): Promise<void> {
  for (let shard = 0; shard < sale.warm.shards; shard++) {
    for (const { topic, events, entryId } of await store.readOutbox(sale.name, shard, 'relay', 100, 0)) {
      await producer.send(topic, events);
      await store.acknowledgeOutbox(sale.name, shard, [entryId]);
    }
  }
}
