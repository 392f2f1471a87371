/**
 * Time, timers and chance of the simulated processes. While a simulation runs, the globals and the few functions of
 * Node's own modules that the product takes them from answer from its scheduler; production code needs no port for them.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { EPOCH_MS } from './life.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const require = createRequire(import.meta.url);
const timers = require('node:timers/promises') as Record<string, unknown>;
const crypto = require('node:crypto') as Record<string, unknown>;

let active: Scheduler | undefined;

/** What `setTimeout` gives back; Node's own methods do nothing here. */
class SimulatedTimer {
  readonly cancel: () => void;
  constructor(cancel: () => void) {
    this.cancel = cancel;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** From now on, until `undefined` is given, the globals answer from this scheduler. */
export function simulate(scheduler: Scheduler | undefined): void {
  install();
  active = scheduler;
}

let installed = false;

function install(): void {
  if (installed) return;
  installed = true;
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setImmediate: globalThis.setImmediate,
    setInterval: globalThis.setInterval.bind(globalThis),
    now: Date.now,
    performanceNow: performance.now.bind(performance),
    random: Math.random,
    randomUUID: crypto['randomUUID'] as () => string,
    sleep: timers['setTimeout'] as (ms: number, value: unknown, options: object) => Promise<unknown>,
    nextTurn: timers['setImmediate'] as (value: unknown) => Promise<unknown>,
  };
  const later = (act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): unknown =>
    active
      ? new SimulatedTimer(active.after(ms, active.current, () => act(...args)))
      : real.setTimeout(act, ms, ...args);
  const unlater = (timer: unknown): void => {
    if (timer instanceof SimulatedTimer) timer.cancel();
    else real.clearTimeout(timer as NodeJS.Timeout);
  };
  Object.assign(globalThis, {
    setTimeout: later,
    clearTimeout: unlater,
    setImmediate: (act: (...args: unknown[]) => void, ...args: unknown[]) =>
      active ? later(act, 0, ...args) : real.setImmediate(act, ...args),
    setInterval: (act: () => void, ms: number) => {
      if (active) throw new Error('the simulation knows no setInterval');
      return real.setInterval(act, ms);
    },
  });
  Date.now = () => (active ? Math.floor(wallOf(active)) : real.now());
  performance.now = () => (active ? steadyOf(active) : real.performanceNow());
  Math.random = () => active?.current?.random.next() ?? real.random();
  crypto['randomUUID'] = () => (active?.current ? uuidFrom(active.current.random) : real.randomUUID());
  timers['setTimeout'] = (ms: number, value?: unknown, options: { signal?: AbortSignal } = {}) =>
    active ? sleep(active, ms, value, options.signal) : real.sleep(ms, value, options);
  timers['setImmediate'] = (value?: unknown) => (active ? sleep(active, 0, value) : real.nextTurn(value));
  syncBuiltinESMExports();
}

const wallOf = ({ now, current }: Scheduler): number => EPOCH_MS + now + (current?.clockOff ?? 0);
const steadyOf = ({ now, current }: Scheduler): number => 1_000 + now - (current?.bornAt ?? 0);

function sleep(scheduler: Scheduler, ms: number, value: unknown, signal?: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cancel = scheduler.after(ms, scheduler.current, () => resolve(value));
    const abort = (): void => {
      cancel();
      reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

function uuidFrom(random: Random): string {
  const hex = Array.from({ length: 8 }, () => random.below(65_536).toString(16).padStart(4, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
