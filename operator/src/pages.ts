/** The hot pages of a sale: loaded ahead of the opening, read back, and loaded again before they expire. */
import { hotPages, shortestLife, type Phase, type Sale } from '@flashsale/sale';
import { textOf, type OperatorDeps, type Scope } from './scope.ts';

/** Phases in which they are kept. */
const KEPT_IN: readonly Phase[] = ['Warming', 'Armed', 'Open'];
/** Pages are loaded again when one has less left than this, or than half of the shortest life, in ms. */
const MARGIN_MS = 15_000;
/** Pause after a catalog that failed: doubles from here to the longest, in ms. A pass waits for it, so not too often. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 16_000;
/** Reading back costs Redis about a microsecond a page: a thousand pages are looked at once a second. */
const LOOK_MS_PER_PAGE = 1;

/** What was found out about the pages of one sale. Times are Unix ms by Redis TIME. */
export interface PageMemory {
  /** What the items looked like when their pages were last loaded; another look makes all pages due. */
  shown: string;
  failures: number;
  retryAt: number;
  lookAt: number;
  found: FoundPages | undefined;
}

export interface FoundPages {
  /** Pages that were read back. */
  readonly cached: number;
  /** Why some are missing, or could not be loaded anew. */
  readonly note: string | undefined;
}

export const newPageMemory = (): PageMemory => ({ shown: '', failures: 0, retryAt: 0, lookAt: 0, found: undefined });

/** Throws where the cache cannot be read, as of any other part of a sale; a catalog that fails is only told of. */
export async function keepPages(scope: Scope, deps: Pick<OperatorDeps, 'pages' | 'expiries'>): Promise<void> {
  const { sale, status, resource, now } = scope;
  const memory = scope.memory.pages;
  if (!KEPT_IN.includes(status.phase) || resource.deleting) return;
  // Stock was just rebuilt: the gate opens at the end of this pass, and does not wait for a catalog.
  const waits = status.phase === 'Open' && status.gate === '';
  const isTime = now >= memory.lookAt || memory.shown !== shownOf(sale);
  if (isTime && !waits) await look(sale, memory, now, deps);
  scope.pages = memory.found;
}

async function look(
  sale: Sale,
  memory: PageMemory,
  now: number,
  deps: Pick<OperatorDeps, 'pages' | 'expiries'>,
): Promise<void> {
  const names = hotPages(sale);
  let left = await deps.pages.readBack(names);
  let note = memory.failures > 0 ? memory.found?.note : undefined;
  const due = dueOf(sale, names, left, memory);
  if (due.length > 0 && now >= memory.retryAt) {
    note = await load(sale, due, memory, now, deps);
    left = await deps.pages.readBack(names);
    note ??= missingOf(names, left);
    noteOutcome(memory, note, now);
  }
  const cached = left.filter((ms) => ms !== undefined).length;
  memory.found = { cached, note };
  memory.lookAt = cached < names.length ? now : now + names.length * LOOK_MS_PER_PAGE;
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

/** What went wrong, in words; undefined where nothing did. */
async function load(
  sale: Sale,
  due: readonly string[],
  memory: PageMemory,
  now: number,
  { pages, expiries }: Pick<OperatorDeps, 'pages' | 'expiries'>,
): Promise<string | undefined> {
  const lives = expiries.place(due, sale.warm.cache, now);
  const toLoad = due.map((name, at) => ({ name, ttlMs: Math.max(1, Math.floor(lives[at] ?? 1)) }));
  try {
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
