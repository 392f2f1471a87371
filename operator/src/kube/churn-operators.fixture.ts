/** Operator processes that are kept running, as a Deployment does, while their leader is ended again and again. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { end, type Service } from '../processes.fixture.ts';

/** What a leader is given to work, ms. */
const LEAST_TENURE_MS = 4_000;
const MORE_TENURE_MS = 4_000;
/** How many are asked to end, and not killed. */
const GRACEFUL = 0.25;
const LOOK_MS = 50;

export class Operators {
  /** Leaders that were ended, and how many of them in order. */
  ended = 0;
  drained = 0;
  /** Processes that lost their lease, as happens on a busy machine. */
  lost = 0;
  /** What should not have happened. */
  readonly failures: string[] = [];
  readonly #operate: () => Promise<Service>;
  readonly #random: () => number;
  readonly #running = new Set<Service>();
  readonly #ending = new Set<Service>();
  readonly #kept: Promise<void>[] = [];
  #stopping = false;

  constructor(operate: () => Promise<Service>, random: () => number) {
    this.#operate = operate;
    this.#random = random;
  }

  /** Keeps `count` of them running. */
  start(count: number): void {
    for (let n = 0; n < count; n += 1) this.#kept.push(this.#keep());
  }

  /** One after the other, until the signal aborts. */
  async endLeaders(signal: AbortSignal): Promise<void> {
    const aborted = (): boolean => signal.aborted;
    while (!aborted()) {
      const leader = [...this.#running].find(({ said }) => said.has('leading'));
      await pause(leader ? LEAST_TENURE_MS + this.#random() * MORE_TENURE_MS : LOOK_MS);
      // It may have lost its lease meanwhile.
      if (leader && !aborted() && this.#running.has(leader)) await this.#endLeader(leader);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#running].map(({ child }) => end(child, 'SIGTERM')));
    await Promise.all(this.#kept);
  }

  #isStopping(): boolean {
    return this.#stopping;
  }

  async #endLeader(leader: Service): Promise<void> {
    this.#ending.add(leader);
    const graceful = this.#random() < GRACEFUL;
    const code = await end(leader.child, graceful ? 'SIGTERM' : 'SIGKILL');
    this.ended += 1;
    if (!graceful) return;
    if (code === 0) this.drained += 1;
    else if (leader.said.has('the lease is lost')) this.lost += 1;
    else this.failures.push(`ended with ${code ?? 'a signal'} after SIGTERM`);
  }

  /** One that cannot be started is a failure, and the end of it: no storm of processes. */
  async #keep(): Promise<void> {
    try {
      while (!this.#isStopping()) await this.#run(await this.#operate());
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  async #run(service: Service): Promise<void> {
    const { child, said } = service;
    this.#running.add(service);
    if (this.#isStopping()) void end(child, 'SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#running.delete(service);
    if (this.#isStopping() || this.#ending.has(service)) return;
    if (said.has('the lease is lost')) this.lost += 1;
    else this.failures.push(`an operator ended by itself with ${child.exitCode ?? 'a signal'}`);
  }
}
