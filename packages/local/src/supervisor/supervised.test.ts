/** A supervised process comes back after crashes, at a bounded rate, and ends when asked at any moment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Supervised, type Launched, type State } from './supervised.ts';

/** A process in memory that ends when told. */
function fakeProcess(): Launched & { crash: () => void; stopped: boolean } {
  let end: (reason: string) => void = () => undefined;
  const exited = new Promise<string>((done) => (end = done));
  const fake = {
    pid: 1,
    exited,
    stopped: false,
    crash: () => end('exit code 7'),
    stop: () => {
      fake.stopped = true;
      end('SIGTERM');
      return Promise.resolve();
    },
  };
  return fake;
}

function record(): {
  states: State[];
  onState: (name: string, state: State) => void;
  until: (s: State) => Promise<void>;
} {
  const states: State[] = [];
  const waiting = new Map<State, () => void>();
  return {
    states,
    onState: (_name, state) => {
      states.push(state);
      waiting.get(state)?.();
      waiting.delete(state);
    },
    until: (state) => new Promise((done) => waiting.set(state, done)),
  };
}

test('a crash is answered by a restart', async () => {
  const seen = record();
  const launched: ReturnType<typeof fakeProcess>[] = [];
  const launch = (): Promise<Launched> => {
    const fake = fakeProcess();
    launched.push(fake);
    return Promise.resolve(fake);
  };
  const supervised = new Supervised({ name: 'a', launch, onState: seen.onState, backoffMs: 1 });
  await supervised.start();
  const again = seen.until('ready');
  launched[0]?.crash();
  await again;
  assert.deepEqual(seen.states, ['starting', 'ready', 'restarting', 'starting', 'ready']);
  assert.equal(supervised.restarts, 1);
  await supervised.stop();
  assert.equal(launched[1]?.stopped, true);
  assert.equal(supervised.state, 'stopped');
});

test('restarts that fail wait longer each time, up to the bound, and go on', async () => {
  const details: string[] = [];
  let launches = 0;
  const first = fakeProcess();
  let enough: () => void = () => undefined;
  const sixth = new Promise<void>((done) => (enough = done));
  const supervised = new Supervised({
    name: 'a',
    backoffMs: 1,
    maxBackoffMs: 4,
    launch: () => {
      launches += 1;
      if (launches === 1) return Promise.resolve(first);
      if (launches === 6) enough();
      return Promise.reject(new Error('no'));
    },
    onState: (_name, state, detail) => {
      if (state === 'restarting') details.push(detail ?? '');
    },
  });
  await supervised.start();
  first.crash();
  await sixth;
  await supervised.stop();
  const waits = details.slice(0, 5).map((detail) => /starts again in (\S+) s/.exec(detail)?.[1]);
  assert.deepEqual(waits, ['0.001', '0.002', '0.004', '0.004', '0.004']);
  assert.match(details[0] ?? '', /^ended \(exit code 7\)/);
});

test('a first start that fails twice is an error', async () => {
  let launches = 0;
  const seen = record();
  const launch = (): Promise<Launched> => {
    launches += 1;
    return Promise.reject(new Error('port in use'));
  };
  const supervised = new Supervised({ name: 'a', launch, onState: seen.onState });
  await assert.rejects(supervised.start(), /port in use/);
  assert.equal(launches, 2);
  assert.equal(supervised.state, 'failed');
});

test('stopped while it starts: the launch is aborted', async () => {
  let aborted = false;
  const supervised = new Supervised({
    name: 'a',
    launch: (signal) =>
      new Promise((_done, fail) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          fail(new Error('aborted'));
        });
      }),
    onState: () => undefined,
  });
  const started = supervised.start();
  const failed = assert.rejects(started, /aborted/);
  await supervised.stop();
  await failed;
  assert.equal(aborted, true);
});
