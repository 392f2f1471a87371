/** The operator's own process on a real API server, with real Redis, Kafka and orders: sales applied, its CPU measured. */
import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '@flashsale/local/testing';
import { startSurroundings } from '@flashsale/operator/kube/processes.fixture';
import type { Sales } from '@flashsale/operator/kube/world.fixture';
import { bundledOperator, end } from '@flashsale/operator/processes.fixture';
import type { SaleStatus } from '@flashsale/operator/status';
import { itemOf } from '@flashsale/operator/world.fixture';
import { useOf } from './process-tree.ts';

const LOOK_MS = 1_000;
const UNTIL_MS = 8 * 60_000;
/** How often the memory is read while something is measured. */
const MEMORY_MS = 2_000;

/** Unix ms. */
export type Spec = Readonly<Record<'opensAt' | 'closesAt', number>>;

export interface Use {
  /** CPU time by time. */
  readonly share: number;
  /** The most that was resident. */
  readonly memoryMb: number;
  readonly passes: number;
  /** CPU by passes. */
  readonly msAPass: number;
}

export interface OperatorBench {
  apply(specs: ReadonlyMap<string, Spec>): Promise<void>;
  /** Changes each of these sales in a way that needs a pass and a write, and waits for that. */
  edit(names: readonly string[]): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
  /** Waits until every sale is as wanted. */
  until(what: string, wanted: (name: string, status: Partial<SaleStatus> | undefined) => boolean): Promise<void>;
  over(ms: number): Promise<Use>;
  during(act: () => Promise<void>): Promise<Use>;
  stop(): Promise<void>;
}

/** Where it fails, nothing that it started is left. */
export async function startOperatorBench(): Promise<OperatorBench> {
  const cleanup = new AsyncDisposableStack();
  try {
    return await startIn(cleanup);
  } catch (error) {
    await cleanup.disposeAsync();
    throw error;
  }
}

async function startIn(cleanup: AsyncDisposableStack): Promise<OperatorBench> {
  const { sales, operate } = await startSurroundings(cleanup, 'bench');
  const ADMIN_PORT = String(await freePort());
  const { main, node, env } = await bundledOperator();
  const options = { node: [...node, ...profiling()], cwd: process.cwd() };
  const operator = await operate({ ...env, ADMIN_PORT }, main, options);
  await operator.heard('leading');
  const { pid } = operator.child;
  if (pid === undefined) throw new Error('the operator has no process');
  const meter = new Meter(pid, `http://127.0.0.1:${ADMIN_PORT}/metrics`);
  const all = async () => sales.all();
  return {
    async apply(specs) {
      for (const [name, spec] of specs) await sales.apply(name, spec);
    },
    async edit(names) {
      for (const name of names) await sales.patch(name, { items: [itemOf(11)] });
      await settled(all);
    },
    async remove(names) {
      for (const name of names) await sales.delete(name);
      for (const name of names) while (await sales.get(name)) await pause(LOOK_MS / 10);
    },
    async until(what, wanted) {
      const deadline = Date.now() + UNTIL_MS;
      for (;;) {
        const missing = (await all()).filter(({ metadata, status }) => !wanted(metadata.name, status));
        if (missing.length === 0) return;
        if (Date.now() > deadline) throw new Error(`not ${what}: ${JSON.stringify(missing[0])}`);
        await pause(LOOK_MS);
      }
    },
    over: (ms) => meter.during(() => pause(ms)),
    during: (act) => meter.during(act),
    async stop() {
      await end(operator.child, 'SIGTERM');
      await cleanup.disposeAsync();
    },
  };
}

/** `BENCH_PROFILE`: a folder for a CPU profile of the whole run. */
function profiling(): string[] {
  const folder = process.env['BENCH_PROFILE'];
  if (folder === undefined) return [];
  mkdirSync(folder, { recursive: true });
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

/** Every sale has a status of its newest generation. */
async function settled(all: () => ReturnType<Sales['all']>): Promise<void> {
  const deadline = Date.now() + UNTIL_MS;
  for (;;) {
    const late = (await all()).filter(({ metadata, status }) => status?.observedGeneration !== metadata.generation);
    if (late.length === 0) return;
    if (Date.now() > deadline) throw new Error(`${late.length} sales have no status of their last edit`);
    await pause(LOOK_MS);
  }
}

class Meter {
  readonly #pid: number;
  readonly #metrics: string;

  constructor(pid: number, metrics: string) {
    this.#pid = pid;
    this.#metrics = metrics;
  }

  async during(act: () => Promise<void>): Promise<Use> {
    const passesBefore = await this.#passes();
    const before = useOf([this.#pid]);
    const startedAt = performance.now();
    let memoryMb = 0;
    const look = (): void => {
      memoryMb = Math.max(memoryMb, useOf([this.#pid]).memoryMb);
    };
    const looks = setInterval(look, MEMORY_MS);
    try {
      await act();
    } finally {
      clearInterval(looks);
    }
    look();
    const ms = performance.now() - startedAt;
    const cpuMs = useOf([this.#pid]).cpuMs - before.cpuMs;
    const passes = (await this.#passes()) - passesBefore;
    return { share: cpuMs / ms, memoryMb, passes, msAPass: cpuMs / passes };
  }

  async #passes(): Promise<number> {
    const text = await (await fetch(this.#metrics)).text();
    const counts = [...text.matchAll(/^controller_runtime_reconcile_total\{.*\} (\d+)$/gm)].map((match) =>
      Number(match[1]),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }
}
