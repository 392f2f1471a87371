/** The hot pages of a sale: loaded ahead of the opening, read back, and loaded again before they expire. */
import { hotPages, shortestLife, type Phase, type Sale } from '@flashsale/sale';
import { textOf, type OperatorDeps, type Scope } from './scope.ts';

/** Phases in which they are kept. */
const KEPT_IN: readonly Phase[] = ['Warming', 'Armed', 'Open'];
/** Pages are loaded again when one has less left than this, or than half of the shortest life, in ms. */
const MARGIN_MS = 15_000;
/** How long a pass waits for the catalog, in ms: the gate, and a pause that its owner asks for, come after it. */
const WAIT_MS = 100;
/** A load that takes no longer mends a loss before anybody is told of it, in ms. */
const MENDING_MS = 2_000;
/** Pause after a catalog that failed: doubles from here to the longest, in ms. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 16_000;
/** Reading back costs Redis about a microsecond a page: a thousand pages are looked at once a second. */
const LOOK_MS_PER_PAGE = 1;

/** What was found out about the pages of one sale. Times are Unix ms by Redis TIME. */
export interface PageMemory {
  /** What the items looked like when their pages were last loaded; another look makes all pages due. */
  shown: string;
  /** Under way, or ended and not seen by a pass yet. */
  loading: Load | undefined;
  failures: number;
  retryAt: number;
  lookAt: number;
  found: FoundPages | undefined;
}

interface Load {
  readonly since: number;
  /** What went wrong, in words; undefined where nothing did. Never rejects. */
  readonly trouble: Promise<string | undefined>;
}

type PageDeps = Pick<OperatorDeps, 'pages' | 'expiries' | 'timers'>;

export interface FoundPages {
  /** Pages that were read back. */
  readonly cached: number;
  /** Why some are missing, or could not be loaded anew. */
  readonly note: string | undefined;
}

export const newPageMemory = (): PageMemory => ({
  shown: '',
  loading: undefined,
  failures: 0,
  retryAt: 0,
  lookAt: 0,
  found: undefined,
});

/** Throws where the cache cannot be read, as of any other part of a sale; a catalog that fails is only told of. */
export async function keepPages(scope: Scope, deps: PageDeps): Promise<void> {
  const { sale, status, resource, now } = scope;
  const memory = scope.memory.pages;
  if (!KEPT_IN.includes(status.phase) || resource.deleting) return;
  // Stock was just rebuilt: the gate opens at the end of this pass, and does not wait for a catalog.
  const waits = status.phase === 'Open' && status.gate === '';
  const isTime = now >= memory.lookAt || memory.shown !== shownOf(sale);
  if (isTime && !waits) await look(sale, memory, now, deps);
  scope.pages = memory.found;
}

async function look(sale: Sale, memory: PageMemory, now: number, deps: PageDeps): Promise<void> {
  const names = hotPages(sale);
  let left = await deps.pages.readBack(names);
  let note = memory.found?.note;
  const due = dueOf(sale, names, left, memory);
  if (due.length > 0 && now >= memory.retryAt)
    memory.loading ??= { since: now, trouble: load(sale, due, memory, now, deps) };
  if (memory.loading && (await isSoon(memory.loading.trouble, deps.timers))) {
    left = await deps.pages.readBack(names);
    note = (await memory.loading.trouble) ?? missingOf(names, left);
    memory.loading = undefined;
    noteOutcome(memory, note, now);
  }
  noteFound(memory, { cached: left.filter((ms) => ms !== undefined).length, note }, names.length, now);
}

function noteFound(memory: PageMemory, found: FoundPages, pages: number, now: number): void {
  const isMending = memory.loading !== undefined && now - memory.loading.since < MENDING_MS;
  if (!isMending || !memory.found) memory.found = found;
  const isWhole = found.cached === pages && !memory.loading;
  memory.lookAt = isWhole ? now + pages * LOOK_MS_PER_PAGE : now;
}

/** Whether it settles while a pass may wait for it; it goes on where it does not. */
function isSoon(loading: Promise<unknown>, timers: OperatorDeps['timers']): Promise<boolean> {
  return new Promise((done) => {
    const cancel = timers.after(WAIT_MS, () => done(false));
    void loading.then(() => {
      cancel();
      done(true);
    });
  });
}

/** All that have less left than a page that was just loaded, as soon as one of them runs out: they end together again. */
function dueOf(
  sale: Sale,
  names: readonly string[],
  left: readonly (number | undefined)[],
  memory: PageMemory,
): string[] {
  if (memory.shown !== shownOf(sale)) return [...names];
  const least = shortestLife(sale.warm.cache);
  const margin = Math.min(MARGIN_MS, least / 2);
  if (left.every((ms) => ms !== undefined && ms >= margin)) return [];
  return names.filter((_, at) => (left[at] ?? 0) < least);
}

/** What went wrong, in words; undefined where nothing did. Never throws. */
async function load(
  sale: Sale,
  due: readonly string[],
  memory: PageMemory,
  now: number,
  { pages, expiries }: PageDeps,
): Promise<string | undefined> {
  try {
    const lives = expiries.place(due, sale.warm.cache, now);
    const toLoad = due.map((name, at) => ({ name, ttlMs: Math.max(1, Math.floor(lives[at] ?? 1)) }));
    await pages.preload(sale, toLoad);
    memory.shown = shownOf(sale);
    return undefined;
  } catch (error) {
    return `the catalog cannot load them: ${textOf(error)}`;
  }
}

function missingOf(names: readonly string[], left: readonly (number | undefined)[]): string | undefined {
  const missing = names.filter((_, at) => left[at] === undefined);
  return missing.length === 0 ? undefined : `the catalog did not load ${missing.slice(0, 3).join(', ')}`;
}

function noteOutcome(memory: PageMemory, note: string | undefined, now: number): void {
  memory.failures = note === undefined ? 0 : memory.failures + 1;
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** (memory.failures - 1), LONGEST_PAUSE_MS);
  memory.retryAt = note === undefined ? 0 : now + pause;
}

/** What pages show of a sale. */
const shownOf = ({ items }: Sale): string => JSON.stringify(items.map(({ sku, title, price }) => [sku, title, price]));
