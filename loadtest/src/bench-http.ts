/** CPU µs of one HTTP request in each variant: three server processes, one client, rounds in turn, medians. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import type { TestIssuer } from '@flashsale/checkout/test-issuer';
import { testItem, testSale } from '@flashsale/checkout/test-sale';
import type { PublishedSale, SaleStore } from '@flashsale/sale';
import { Pool } from 'undici';
import type { Answer, Request, Variant } from './bench-server.ts';
import { medians } from './figures.ts';

export const HTTP_VARIANTS = ['bare', 'stockExpress', 'accepted', 'acceptedFirstSight', 'soldOut', 'notOpen'] as const;
export type HttpVariant = (typeof HTTP_VARIANTS)[number];

export interface HttpFigures {
  /** Median CPU µs a request. */
  readonly cpu: Readonly<Record<HttpVariant, number>>;
  /** Purchases in one script call while accepting, on average. */
  readonly batch: number;
  /** Script calls during all sold-out rounds, and 200 ms windows they took. */
  readonly soldOutScripts: number;
  readonly soldOutWindows: number;
}

export interface HttpBenchOptions {
  readonly redisUrl: string;
  readonly issuer: TestIssuer;
  readonly store: SaleStore;
  /** Script calls that Redis has run so far. */
  readonly scripts: () => Promise<number>;
  readonly rounds: number;
  readonly requests: number;
}

const CONNECTIONS = 256;
/** The first rounds only warm up: until some 10,000 requests of each kind, what is measured is the compiler. */
const WARM_UP = 6;
const BODY = JSON.stringify({ sku: 'air-zero-42', quantity: 1 });

export async function benchHttp(options: HttpBenchOptions): Promise<HttpFigures> {
  const servers = await startServers(options);
  try {
    const run = new Run(options, servers);
    await run.signTokens();
    for (let round = 0; round < WARM_UP + options.rounds; round++) await run.round(round >= WARM_UP);
    return run.figures();
  } finally {
    for (const server of Object.values(servers)) await server.stop();
  }
}

class Run {
  readonly #options: HttpBenchOptions;
  readonly #servers: Readonly<Record<Variant, ServerProcess>>;
  readonly #samples: Record<HttpVariant, number[]> = {
    bare: [],
    stockExpress: [],
    accepted: [],
    acceptedFirstSight: [],
    soldOut: [],
    notOpen: [],
  };
  /** Of two crowds: the second comes when the first has bought everything. */
  #buyers: readonly string[] = [];
  #late: readonly string[] = [];
  #acceptScripts = 0;
  #soldOutScripts = 0;
  #soldOutMs = 0;
  #measured = 0;

  constructor(options: HttpBenchOptions, servers: Readonly<Record<Variant, ServerProcess>>) {
    this.#options = options;
    this.#servers = servers;
  }

  async signTokens(): Promise<void> {
    const { requests, issuer } = this.#options;
    const all: string[] = [];
    // In parts: each signature is a job of the thread pool, whose queue need not hold thousands.
    for (let n = 0; n < 2 * requests; n += 500) {
      const part = Array.from({ length: Math.min(500, 2 * requests - n) }, (_, i) => issuer.token(n + i));
      all.push(...(await Promise.all(part)));
    }
    this.#buyers = all.slice(0, requests);
    this.#late = all.slice(requests);
  }

  async round(measured: boolean): Promise<void> {
    const { bare, stockExpress, checkout } = this.#servers;
    const { scripts } = this.#options;
    const sale = await this.#open();
    const future = await this.#open({ opensAt: Date.now() + 3_600_000, phase: 'Armed' });
    const keep = (variant: HttpVariant, cpu: number): void => {
      if (measured) this.#samples[variant].push(cpu);
    };
    keep('bare', await this.#drive(bare, sale, this.#buyers, 202));
    keep('stockExpress', await this.#drive(stockExpress, sale, this.#buyers, 202));

    await checkout.ask({ do: 'forget' });
    const before = await scripts();
    keep('acceptedFirstSight', await this.#drive(checkout, sale, this.#buyers, 202));
    const accepted = await scripts();
    await checkout.ask({ do: 'verify', tokens: this.#late });

    // One asks, so that the sale's end is known, as it is a moment after the last unit in a real one.
    await this.#drive(checkout, sale, this.#late.slice(0, 20), 409);
    const start = performance.now();
    const soldOutBefore = await scripts();
    keep('soldOut', await this.#drive(checkout, sale, this.#late, 409));
    const soldOutAfter = await scripts();
    if (measured) {
      this.#measured++;
      this.#acceptScripts += accepted - before;
      this.#soldOutScripts += soldOutAfter - soldOutBefore;
      this.#soldOutMs += performance.now() - start;
    }
    keep('notOpen', await this.#drive(checkout, future, this.#late, 425));
    const known = await this.#open();
    keep('accepted', await this.#drive(checkout, known, this.#late, 202));
    for (const each of [sale, future, known]) await this.#end(each);
  }

  async #open(changes: Partial<PublishedSale> = {}): Promise<PublishedSale> {
    const { store, requests } = this.#options;
    const name = `bench-${randomBytes(6).toString('hex')}`;
    const warm = { ...testSale(name).warm, shards: 4 };
    const items = [testItem('air-zero-42', { stock: requests })];
    const sale = testSale(name, { items, warm, ...changes });
    await store.warm(sale, sale.epoch);
    await store.publish(sale);
    await this.#servers.checkout.ask({ do: 'refresh' });
    return sale;
  }

  async #end(sale: PublishedSale): Promise<void> {
    await this.#options.store.unpublish(sale.name);
    await this.#options.store.purge(sale);
  }

  /** Sends one purchase a token; CPU µs of the server a request. Throws where an answer is another than expected. */
  async #drive(server: ServerProcess, sale: PublishedSale, tokens: readonly string[], status: number): Promise<number> {
    const path = `/api/v1/sales/${sale.name}/purchases`;
    const { cpu } = await server.ask({ do: 'cpu' });
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let i = next++; i < tokens.length; i = next++) {
        const headers = {
          'content-type': 'application/json',
          authorization: `Bearer ${tokens[i] ?? ''}`,
          'idempotency-key': `${sale.name}-${status}-${i}`,
        };
        const response = await server.pool.request({ method: 'POST', path, headers, body: BODY });
        const text = await response.body.text();
        if (response.statusCode !== status) throw new Error(`expected ${status}, got ${response.statusCode}: ${text}`);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
    const after = await server.ask({ do: 'cpu' });
    return (after.cpu - cpu) / tokens.length;
  }

  figures(): HttpFigures {
    return {
      cpu: medians(this.#samples),
      batch: (this.#options.requests * this.#measured) / this.#acceptScripts,
      soldOutScripts: this.#soldOutScripts,
      soldOutWindows: this.#soldOutMs / 200,
    };
  }
}

class ServerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;
  /** Connections that stay open over all rounds, as those of a gateway do. */
  readonly pool: Pool;

  constructor(child: ChildProcess, port: number, ended: Promise<never>) {
    this.#child = child;
    this.#ended = ended;
    this.pool = new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS });
  }

  async ask(request: Request): Promise<Answer> {
    const answer = nextAnswer(this.#child);
    this.#child.send(request);
    return Promise.race([answer, this.#ended]);
  }

  async stop(): Promise<void> {
    await this.pool.destroy();
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }
}

function nextAnswer(child: ChildProcess): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  child.once('message', (message) => resolve(message as Answer));
  return promise;
}

async function startServers(options: HttpBenchOptions): Promise<Record<Variant, ServerProcess>> {
  const env = {
    ...process.env,
    REDIS_URL: options.redisUrl,
    OIDC_ISSUER: options.issuer.issuer,
    OIDC_AUDIENCE: options.issuer.audience,
  };
  const start = async (variant: Variant): Promise<ServerProcess> => {
    const profile = process.env['BENCH_PROFILE'] === variant ? ['--cpu-prof', '--cpu-prof-dir=/tmp/bench-prof'] : [];
    const child = fork(new URL('bench-server.ts', import.meta.url), [variant], { env, execArgv: profile });
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`a server of the benchmark ended with ${String(code)}`);
    });
    failed.catch(() => undefined);
    const { port } = await Promise.race([nextAnswer(child), failed]);
    return new ServerProcess(child, port, failed);
  };
  const [bare, stockExpress, checkout] = await Promise.all([start('bare'), start('stockExpress'), start('checkout')]);
  return { bare, stockExpress, checkout };
}
