/** Leader election between real processes on a real API server: paused, killed, stopped; never two at once, measured. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LEASES, type Lease } from './lease.ts';
import { testNamespace } from './namespace.fixture.ts';

const { kubeconfig, client, namespace } = await testNamespace();
const leases = client.resource<Lease>(LEASES);
const PROCESS = fileURLToPath(new URL('leader.fixture.ts', import.meta.url));
/** client-go's times, shortened as far as a busy machine can bear. */
const LEASE_MS = 6000;
const WAIT_MS = 60_000;

interface Act {
  readonly token: number;
  readonly at: bigint;
}

class Candidate {
  readonly child: ChildProcess;
  readonly acts: Act[] = [];
  readonly lines: string[] = [];
  readonly #bell = new EventTarget();

  constructor(identity: string) {
    this.child = spawn(process.execPath, [PROCESS, kubeconfig, namespace, identity, String(LEASE_MS)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    after(() => this.child.kill('SIGKILL'));
    if (this.child.stdout === null) throw new Error('no output');
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#take(line));
  }

  #take(line: string): void {
    const [what, token, at] = line.split(' ');
    if (what === 'act') this.acts.push({ token: Number(token), at: BigInt(at ?? 0) });
    else this.lines.push(line);
    this.#bell.dispatchEvent(new Event('line'));
  }

  async until(condition: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(WAIT_MS);
    while (!condition()) await once(this.#bell, 'line', { signal });
  }

  said(what: string): Promise<void> {
    return this.until(() => this.lines.some((line) => line.startsWith(what)));
  }

  /** Acts as the leader from now on. */
  async acts10(): Promise<void> {
    const from = this.acts.length;
    await this.until(() => this.acts.length >= from + 10);
  }
}

/** All acts in order of time: tokens never go back, so nobody acted after his successor had begun. */
function assertOneAtATime(candidates: readonly Candidate[]): number {
  const acts = candidates.flatMap((candidate) => candidate.acts);
  acts.sort((a, b) => (a.at < b.at ? -1 : 1));
  for (const [i, act] of acts.entries()) {
    const before = acts[i - 1];
    assert.ok(
      before === undefined || before.token <= act.token,
      `token ${act.token} acted after ${before?.token ?? ''}`,
    );
  }
  return acts.length;
}

test('a paused leader is replaced and does nothing any more; a killed one too; a stopped one hands over at once', async (t) => {
  const first = new Candidate('first');
  await first.said('leading');
  const second = new Candidate('second');
  await second.said('standing');
  await first.acts10();

  first.child.kill('SIGSTOP');
  const pausedAt = performance.now();
  await second.said('leading');
  t.diagnostic(
    `took over from a paused leader in ${Math.round(performance.now() - pausedAt)} ms of a ${LEASE_MS} ms lease`,
  );
  await second.acts10();
  first.child.kill('SIGCONT');
  await first.said('lost');
  await second.acts10();

  const third = new Candidate('third');
  await third.said('standing');
  second.child.kill('SIGKILL');
  const killedAt = performance.now();
  await third.said('leading');
  t.diagnostic(`took over from a killed leader in ${Math.round(performance.now() - killedAt)} ms`);
  await third.acts10();

  const fourth = new Candidate('fourth');
  await fourth.said('standing');
  third.child.kill('SIGTERM');
  const stoppedAt = performance.now();
  await fourth.said('leading');
  const handover = performance.now() - stoppedAt;
  t.diagnostic(`took over from a stopped leader in ${Math.round(handover)} ms`);
  assert.ok(handover < LEASE_MS, 'the lease was given back');
  await fourth.acts10();

  const tokens = [first, second, third, fourth].map((candidate) => candidate.acts[0]?.token);
  assert.equal(new Set(tokens).size, 4, 'a token of its own for each tenure');
  const acts = assertOneAtATime([first, second, third, fourth]);
  t.diagnostic(`${acts} acts of 4 leaders, none after its successor's first`);
  const { spec } = await leases.get({ name: 'leader', namespace });
  assert.deepEqual([spec?.holderIdentity, spec?.leaseTransitions], ['fourth', 3]);
});
