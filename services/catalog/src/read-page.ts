/** Reads a page: from the cache, or from the database at most once at a time, in this process and over all of them. */
import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '@flashsale/platform/deadline';
import type { Logger } from '@flashsale/platform/log';
import { Counter } from '@flashsale/platform/metrics';
import { SaleError, type CachedPage, type PageCache, type PageContent, type PageLocks } from '@flashsale/sale';
import type { Bulkhead } from './bulkhead.ts';

/** Longest a page that is being loaded keeps others from loading it, in ms. */
const LEASE_MS = 5_000;
/** How often it is looked whether another process has loaded the page, and for how long, in ms. */
const LOOK_MS = 20;
const PATIENCE_MS = 2_000;
/** Longest read of a page, in ms. */
const LOAD_MS = 3_000;
/** Different pages looked for at once in one process. */
const MOST_FLIGHTS = 2_000;
/** A page takes at least so long to make anew, when it is asked whether that should begin. In ms. */
const LEAST_LOAD_MS = 100;
/** Lives of pages that were loaded because somebody asked are shortened by up to this part, at random. */
const JITTER = 0.3;

const reads = new Counter({
  name: 'catalog_page_reads_total',
  help: 'Look-ups of pages (those of one page at one time are one), by where it came from.',
  labelNames: ['from'],
});
const loads = new Counter({ name: 'catalog_page_loads_total', help: 'Pages read from the database.' });

export interface PageSource {
  /** False: there is certainly no such page, without a look into the database. */
  readonly may?: () => boolean;
  /** Reads it from the database; undefined where there is none. */
  readonly load: () => Promise<PageContent | undefined>;
  readonly ttlMs: number;
}

export interface PageReaderOptions {
  readonly cache: PageCache;
  readonly locks: PageLocks;
  readonly log: Logger;
  /** Loads at once and waiting, in this process. */
  readonly bulkhead: Bulkhead;
  readonly leaseMs?: number;
  readonly random?: () => number;
}

export class PageReader {
  readonly #options: PageReaderOptions;
  readonly #flights = new Map<string, Promise<PageContent | undefined>>();
  readonly #refreshing = new Set<string>();
  #away = false;
  readonly #leaseMs: number;
  readonly #random: () => number;

  constructor(options: PageReaderOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#random = options.random ?? Math.random;
  }

  /** Undefined where there is no such page. Throws SaleError `try_again_later` where too much is asked for. */
  read(name: string, source: PageSource): Promise<PageContent | undefined> {
    const known = this.#flights.get(name);
    if (known) return known;
    if (this.#flights.size >= MOST_FLIGHTS) throw new SaleError('try_again_later', 'Too many pages are asked for.');
    const flight = this.#find(name, source).finally(() => this.#flights.delete(name));
    this.#flights.set(name, flight);
    return flight;
  }

  async #find(name: string, source: PageSource): Promise<PageContent | undefined> {
    const cached = await this.#look(name);
    if (cached === 'away') {
      reads.inc({ from: 'database' });
      return source.may?.() === false ? undefined : await this.#load(source);
    }
    if (cached) {
      reads.inc({ from: 'cache' });
      if (this.#isDue(cached)) void this.#refresh(name, source, cached);
      return cached;
    }
    if (source.may?.() === false) {
      reads.inc({ from: 'filter' });
      return undefined;
    }
    reads.inc({ from: 'load' });
    return await this.#loadOnce(name, source);
  }

  async #look(name: string): Promise<CachedPage | undefined | 'away'> {
    const { cache, log } = this.#options;
    try {
      const found = await cache.get(name);
      this.#away = false;
      return found;
    } catch (error) {
      if (!this.#away) log.warn({ err: error }, 'the page cache is away: the database is asked');
      this.#away = true;
      return 'away';
    }
  }

  /**
   * Whether to make a page anew before it expires: the nearer the end, the likelier, so that of many readers one does,
   * and the end itself finds nobody waiting (XFetch; Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
   * Stampede Prevention", 2015).
   */
  #isDue({ loadMs, leftMs }: CachedPage): boolean {
    return Math.max(loadMs, LEAST_LOAD_MS) * -Math.log(1 - this.#random()) >= leftMs;
  }

  async #refresh(name: string, source: PageSource, seen: CachedPage): Promise<void> {
    if (this.#refreshing.has(name) || this.#refreshing.size >= MOST_FLIGHTS) return;
    this.#refreshing.add(name);
    try {
      await this.#locked(name, async () => {
        const now = await this.#options.cache.get(name);
        // Another process was quicker.
        if (now && now.leftMs > seen.leftMs) return now;
        return await this.#loadAndKeep(name, source);
      });
    } catch (error) {
      this.#options.log.warn({ err: error, page: name }, 'a page could not be made anew ahead of its end');
    } finally {
      this.#refreshing.delete(name);
    }
  }

  /** Loads it where no other process does; else waits for theirs, and loads it all the same where that takes too long. */
  async #loadOnce(name: string, source: PageSource): Promise<PageContent | undefined> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const done = await this.#locked(name, async () => {
        // Whoever had the lock before may have loaded it.
        const found = await this.#look(name);
        return found && found !== 'away' ? found : await this.#loadAndKeep(name, source);
      });
      if (done) return done.page;
      if (performance.now() >= until) return await this.#loadAndKeep(name, source);
      await pause(LOOK_MS * (0.5 + this.#random()));
      const found = await this.#look(name);
      if (found && found !== 'away') return found;
    }
  }

  /** What `work` resolves to, in a box; undefined where another holds the lock. */
  async #locked(
    name: string,
    work: () => Promise<PageContent | undefined>,
  ): Promise<{ readonly page: PageContent | undefined } | undefined> {
    const release = await this.#options.locks.tryLock(name, this.#leaseMs);
    if (!release) return undefined;
    try {
      return { page: await work() };
    } finally {
      await release();
    }
  }

  async #loadAndKeep(name: string, source: PageSource): Promise<PageContent | undefined> {
    const page = await this.#load(source);
    if (!page) return undefined;
    const { cache, log } = this.#options;
    const ttlMs = Math.ceil(source.ttlMs * (1 - JITTER * this.#random()));
    try {
      const [kept] = await cache.put([{ ...page, name, ttlMs }]);
      // This process was slow: the page that is there is newer.
      return kept ? page : ((await cache.get(name)) ?? page);
    } catch (error) {
      log.warn({ err: error, page: name }, 'a page was not kept');
      return page;
    }
  }

  async #load({ load }: PageSource): Promise<PageContent | undefined> {
    return await this.#options.bulkhead.run(() => {
      loads.inc();
      return withDeadline('reading a page', LOAD_MS, load());
    });
  }
}
