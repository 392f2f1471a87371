/** What a misbehaving API server does, how long, and by when a client of it has to be right again. */
import { setTimeout as pause } from 'node:timers/promises';
import { FaultyServer, type Asked, type Behaviour } from './server.fixture.ts';
import type { Change } from './storage.fixture.ts';

/** Of a client under test, instead of the default of 90 s. */
export const WATCHDOG_MS = 2000;
/** Objects a page, so that lists have several. */
export const PAGE = 5;

/** How long the server misbehaves where it does so for a while, ms. */
const WHILE_MS = 2000;

/**
 * A reflector that fails for so long has begun the last of its waits by then: 0.8 s doubled, each spread over 0.5–1.5 of
 * itself. Waits of at least 0.4, 0.8 and 1.6 s do not fit into 2 s, so the last is at most 1.5 times 3.2 s.
 */
const LAST_WAIT_S = 4.8;
/** For the lists and events that follow, on a busy machine. */
const SLACK_S = 2;

export interface FaultCase {
  readonly name: string;
  /** It strikes once, goes on for a while, or goes on until the client is right. */
  readonly lasts: 'once' | 'while' | 'always';
  /** By when a reflector is right, s; see `Outcome.seconds`. */
  readonly withinS: number;
  begin(server: FaultyServer): Promise<void> | void;
}

const behaving = (behaviour: Behaviour, then: 'expire' | 'reset' | undefined) => (server: FaultyServer) => {
  server.behave(behaviour);
  if (then === 'expire') server.storage.compact();
  if (then === 'reset') server.reset();
};
const isRead = ({ kind }: Asked): boolean => kind === 'list' || kind === 'watch';
const reversed = (batch: readonly Change[]): Change[] => batch.toReversed();
/** Each event, and after it once more the first that was ever sent of its object. */
function withFirst(): (batch: readonly Change[]) => Change[] {
  const first = new Map<string, Change>();
  return (batch) =>
    batch.flatMap((change) => {
      const id = change.object.metadata.uid ?? '';
      const known = first.get(id) ?? { ...change, type: 'ADDED' as const };
      first.set(id, known);
      return [change, known];
    });
}

export const FAULTS: readonly FaultCase[] = [
  {
    name: '410 as an ERROR event in mid-stream',
    lasts: 'once',
    withinS: SLACK_S,
    begin: (server) => server.storage.compact(),
  },
  {
    name: '410 as the HTTP status of list and watch',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ refuse: (asked) => (isRead(asked) ? { status: 410, message: 'too old' } : undefined) }, 'reset'),
  },
  {
    name: '410 at every second page of a list',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving(
      { refuse: ({ query }) => (query.has('continue') ? { status: 410, message: 'too old' } : undefined) },
      'expire',
    ),
  },
  {
    name: `half-open TCP (watchdog ${WATCHDOG_MS / 1000} s)`,
    lasts: 'once',
    withinS: 2 * (WATCHDOG_MS / 1000) + SLACK_S,
    begin: (server) => server.freeze(),
  },
  {
    name: '429 storm, Retry-After 1 s',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ refuse: () => ({ status: 429, message: 'too many requests', retryAfter: 1 }) }, 'reset'),
  },
  {
    name: 'chunks of 61 bytes, cut within characters',
    lasts: 'always',
    withinS: SLACK_S,
    begin: behaving({ pieces: { bytes: 61, everyMs: 0 } }, 'expire'),
  },
  {
    name: 'every event twice, an old ADDED after each',
    lasts: 'always',
    withinS: SLACK_S,
    begin: (server) => server.behave({ arrange: { gatherMs: 0, as: withFirst() } }),
  },
  {
    name: 'events of 100 ms in reverse order',
    lasts: 'always',
    withinS: SLACK_S,
    begin: (server) => server.behave({ arrange: { gatherMs: 100, as: reversed } }),
  },
  {
    name: '500 at list',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving(
      { refuse: ({ kind }) => (kind === 'list' ? { status: 500, message: 'etcd' } : undefined) },
      'expire',
    ),
  },
  {
    name: 'connection reset in the middle of a list page',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ cut: ({ kind }) => (kind === 'list' ? 'amidst' : undefined) }, 'expire'),
  },
  {
    name: 'connections reset, again and again',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ cut: () => 'before' }, 'reset'),
  },
  {
    name: 'slow drip of 6 kB/s',
    lasts: 'always',
    withinS: 5 + SLACK_S,
    begin: behaving({ pieces: { bytes: 64, everyMs: 10 } }, 'expire'),
  },
  {
    name: 'server restart: refused, then 429 "(re)initializing"',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: async (server) => {
      await server.crash();
      await pause(WHILE_MS / 2);
      server.behave({ refuse: () => ({ status: 429, message: 'storage is (re)initializing', retryAfter: 1 }) });
      await server.restart();
    },
  },
  {
    name: 'watch closed at once, again and again',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ end: 'at once' }, 'reset'),
  },
  {
    name: 'watch closed after a bookmark, again and again',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ end: 'after a bookmark' }, 'reset'),
  },
  {
    name: '410 after a bookmark, again and again',
    lasts: 'while',
    withinS: LAST_WAIT_S + SLACK_S,
    begin: behaving({ end: 'expired after a bookmark' }, 'reset'),
  },
];

/** What has to come right. */
export interface Subject {
  /** Changes what it follows, as an owner would; `round` 0, 1, … */
  edit(round: number): void;
  /** Whether it is as the server has it. */
  converged(): boolean | Promise<boolean>;
  stop(): Promise<void>;
}

export interface Outcome {
  readonly fault: string;
  readonly lasts: string;
  /** To the truth: from when it struck, from when the server behaved again, or from the last change where it never does. */
  readonly seconds: number;
  /** From the beginning of the fault to the truth. */
  readonly requests: number;
  /** Of these, lists from the first page. */
  readonly lists: number;
  readonly watches: number;
  readonly cutCharacters: number;
}

/** What is asked of a kind of client. */
export interface Limits {
  /** On top of `FaultCase.withinS`, s. */
  readonly extraS: number;
  /** A storm of retries would be thousands. */
  readonly mostRequests: number;
}

/** By when it has to be right, s. */
export const withinS = (fault: FaultCase, { extraS }: Limits): number => fault.withinS + extraS;

/** What is too much, in words; empty where all is within its limits. */
export function excesses(fault: FaultCase, { seconds, requests }: Outcome, limits: Limits): string[] {
  const late = seconds > withinS(fault, limits) ? [`${seconds.toFixed(1)} s, not ${withinS(fault, limits)} s`] : [];
  const many = requests > limits.mostRequests ? [`${requests} requests, not ${limits.mostRequests}`] : [];
  return [...late, ...many];
}

const LONGEST_MS = 60_000;
const LOOK_MS = 10;

/** Starts a server and a client of it, lets the fault happen while objects are edited, and waits until all is right. */
export async function outcomeOf(fault: FaultCase, start: (server: FaultyServer) => Promise<Subject>): Promise<Outcome> {
  const server = await FaultyServer.start();
  const subject = await start(server);
  try {
    await until(subject);
    const before = server.seen.length;
    const began = performance.now();
    const beginning = fault.begin(server);
    subject.edit(0);
    await beginning;
    if (fault.lasts !== 'once') {
      await pauseUntil(began + WHILE_MS / 2);
      subject.edit(1);
    }
    if (fault.lasts === 'while') {
      await pauseUntil(began + WHILE_MS);
      server.behave({});
    }
    const from = fault.lasts === 'once' ? began : performance.now();
    await until(subject);
    const seconds = (performance.now() - from) / 1000;
    const seen = server.seen.slice(before);
    const lists = seen.filter(({ kind, query }) => kind === 'list' && !query.has('continue')).length;
    const watches = seen.filter(({ kind }) => kind === 'watch').length;
    const lasts = fault.lasts === 'while' ? `${WHILE_MS / 1000} s` : fault.lasts;
    const { cutCharacters } = server;
    return { fault: fault.name, lasts, seconds, requests: seen.length, lists, watches, cutCharacters };
  } finally {
    await subject.stop();
    await server.close();
  }
}

function pauseUntil(at: number): Promise<void> {
  return pause(Math.max(0, at - performance.now()));
}

async function until(subject: Subject): Promise<void> {
  const end = performance.now() + LONGEST_MS;
  while (!(await subject.converged())) {
    if (performance.now() > end) throw new Error(`not converged within ${LONGEST_MS / 1000} s`);
    await pause(LOOK_MS);
  }
}
