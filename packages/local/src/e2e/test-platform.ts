/** The whole platform for one test file: in a folder and on ports of its own, ended with the tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { SaleStatus } from '@flashsale/operator/status';
import { connectRedis, createSaleStore, type RedisConnection } from '@flashsale/platform/redis';
import { createLogger } from '@flashsale/platform/log';
import type { SaleStore } from '@flashsale/sale';
import { stringify } from 'yaml';
import { applyText } from '../commands/apply.ts';
import { openSales, type Sales } from '../commands/sales.ts';
import { takeProof } from '../commands/proof.ts';
import { sendCrowd } from '../commands/rush.ts';
import { runningPid } from '../pid.ts';
import { freePort } from '../ports.ts';
import type { RushReport } from '../rush/rush.ts';
import { Platform } from '../supervisor/platform.ts';
import { requireRunning, type RunningPlatform } from '../supervisor/running.ts';

const POLL_MS = 50;

export interface SaleOptions {
  readonly stock: number;
  readonly opensInMs?: number;
  readonly openForMs?: number;
  readonly holdFor?: string;
  readonly membersOnly?: boolean;
  readonly shards?: number;
}

export class TestPlatform {
  readonly #home: string;
  readonly #port: number;
  readonly #env: NodeJS.ProcessEnv | undefined;
  #platform: Platform;
  #running: RunningPlatform | undefined;
  #redis: RedisConnection | undefined;

  private constructor(home: string, port: number, env: NodeJS.ProcessEnv | undefined) {
    this.#home = home;
    this.#port = port;
    this.#env = env;
    this.#platform = this.#make();
  }

  /** Starts one, on the servers that `env` names as `flashsale up` does. The caller ends it with `end()`. */
  static async start(env?: NodeJS.ProcessEnv): Promise<TestPlatform> {
    const home = await mkdtemp(join(tmpdir(), 'flashsale-e2e-'));
    // Where the commands of this process look for the running platform.
    process.env['FLASHSALE_HOME'] = home;
    const platform = new TestPlatform(home, await freePort(), env);
    await platform.up();
    return platform;
  }

  get edge(): string {
    return this.#platform.url;
  }

  get running(): RunningPlatform {
    if (!this.#running) throw new Error('the platform is down');
    return this.#running;
  }

  get redis(): RedisConnection {
    if (!this.#redis) throw new Error('the platform is down');
    return this.#redis;
  }

  get store(): SaleStore {
    return createSaleStore(this.redis);
  }

  async up(): Promise<void> {
    await this.#platform.start();
    this.#running = await requireRunning();
    this.#redis = connectRedis(this.#running.redisUrl, createLogger('test', 'silent'));
    await this.#redis.start();
  }

  async down(): Promise<void> {
    await this.#redis?.stop();
    await this.#platform.stop();
    this.#redis = undefined;
    this.#running = undefined;
    this.#platform = this.#make();
  }

  async end(): Promise<void> {
    await this.down();
    await rm(this.#home, { recursive: true, force: true });
  }

  /** Applies a sale of one item, one unit a buyer. */
  async apply(name: string, options: SaleOptions): Promise<void> {
    const now = Date.now();
    const at = (ms: number): string => new Date(now + ms).toISOString();
    const { stock, opensInMs = 2000, openForMs = 600_000, holdFor = '60s', membersOnly = false, shards = 4 } = options;
    const document = {
      apiVersion: 'flashsale.dev/v1',
      kind: 'FlashSale',
      metadata: { name, namespace: 'shop' },
      spec: {
        opensAt: at(opensInMs),
        closesAt: at(opensInMs + openForMs),
        membersOnly,
        items: [{ sku: 'shoe', stock, perBuyer: 1, price: { amount: '129.00', currency: 'EUR' } }],
        payment: { holdFor },
        warm: { leadTime: '10m', shards },
      },
    };
    await applyText(await this.#sales(), stringify(document));
  }

  async status(name: string): Promise<SaleStatus | undefined> {
    return (await (await this.#sales()).list()).find((resource) => resource.name === name)?.status;
  }

  /** Resolves to the status once it is as asked. */
  async until(
    name: string,
    what: string,
    asked: (status: SaleStatus) => boolean,
    withinMs = 30_000,
  ): Promise<SaleStatus> {
    return eventually(`${name}: ${what}`, withinMs, async () => {
      const status = await this.status(name);
      return status && asked(status) ? status : undefined;
    });
  }

  async rush(name: string, buyers: number, concurrency = 64): Promise<RushReport> {
    return sendCrowd(name, this.running, { buyers, concurrency });
  }

  async proof(name: string): ReturnType<typeof takeProof> {
    return takeProof(name, this.running);
  }

  /** The pid of a process of the platform: a service (`payments-1`) or `redis`, `kafka`, `postgres`. */
  pidOf(name: string): number | undefined {
    const data = join(this.#home, 'data');
    return runningPid(join(data, 'run', `${name}.pid`)) ?? runningPid(join(data, name, `${name}.pid`));
  }

  #sales(): Promise<Sales> {
    return openSales(this.running);
  }

  #make(): Platform {
    const env = this.#env === undefined ? {} : { env: this.#env };
    return new Platform({ dataDir: join(this.#home, 'data'), port: this.#port, ...env });
  }
}

/** Asks again until there is an answer. Throws, naming `what`, where none comes in time. */
export async function eventually<T>(what: string, withinMs: number, ask: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(POLL_MS);
  }
}
