/**
 * Events of events.k8s.io/v1. The same again is counted in a series instead of written anew, many of one reason that
 * differ only in their note become one, and an object that keeps telling is slowed down (as client-go's recorder).
 */
import { createHash } from 'node:crypto';
import { TokenBucket } from './backoff.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import { microTime } from './lease.ts';
import { eventMetrics as metrics } from './metrics.ts';
import { keyOf, type KubeObject, type ObjectName, type Resource } from './object.ts';
import type { Log } from './ports.ts';

export const EVENTS: Resource = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

/** A repetition after this begins a new series. */
const SERIES_MS = 6 * 60_000;
/** So many different notes of one reason are written as they are. */
const MOST_NOTES = 10;
/** Of one object: 25 at once, then one in 5 minutes. */
const BURST = 25;
const PER_SECOND = 1 / 300;
/** Series, and objects, that are remembered. */
const MOST_REMEMBERED = 4096;
/** Events that wait to be written. */
const MOST_WAITING = 1000;
const TRIES = 3;
const RETRY_MS = 1000;
/** Limits of the API. */
const LONGEST_NOTE = 1024;

export interface EventObject extends KubeObject {
  readonly eventTime: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
  readonly [field: string]: unknown;
}

export interface EventApi {
  create(event: EventObject): Promise<unknown>;
  mergePatch(name: ObjectName, patch: unknown): Promise<unknown>;
}

export interface Happening {
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase: what happened. */
  readonly reason: string;
  /** One word in CamelCase: what was being done. */
  readonly action: string;
  /** For people; at most 1024 bytes are kept. */
  readonly note: string;
}

export interface RecorderOptions {
  readonly api: EventApi;
  /** `flashsale.dev/operator`: who tells. */
  readonly controller: string;
  readonly instance: string;
  readonly log: Log;
  readonly clock?: Clock;
}

interface Series {
  readonly event: EventObject;
  count: number;
  lastAt: number;
  written: boolean;
}

export class EventRecorder {
  readonly name = 'events';
  readonly #options: RecorderOptions;
  readonly #clock: Clock;
  readonly #series = new Remembered<Series>(MOST_REMEMBERED);
  readonly #notes = new Remembered<Set<string>>(MOST_REMEMBERED);
  readonly #buckets = new Remembered<TokenBucket>(MOST_REMEMBERED);
  readonly #waiting = new Set<Series>();
  readonly #end = new AbortController();
  #writing: Promise<void> | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Tells of `object`, which needs `apiVersion` and `kind`. Never waits and never throws: events may be lost. */
  emit(object: KubeObject, happening: Happening): void {
    if (this.#end.signal.aborted) return;
    const subject = `${object.kind ?? ''} ${object.metadata.uid ?? keyOf(object)}`;
    const bucket = this.#buckets.get(subject, () => new TokenBucket(PER_SECOND, BURST, this.#clock));
    if (!bucket.tryTake()) {
      metrics.discarded.inc({ reason: 'rate' });
      return;
    }
    const told = this.#aggregate(subject, happening);
    const key = [subject, told.type, told.reason, told.action, told.note].join('\n');
    const now = this.#clock.now();
    const known = this.#series.peek(key);
    if (known !== undefined && now - known.lastAt < SERIES_MS) {
      known.count += 1;
      known.lastAt = now;
      this.#write(known);
      return;
    }
    const series = { event: this.#event(object, told), count: 1, lastAt: now, written: false };
    this.#series.set(key, series);
    this.#write(series);
  }

  /** Writes what waits. The platform bounds how long that may take. */
  async drain(): Promise<void> {
    await this.#writing;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    this.#waiting.clear();
    await this.#writing;
  }

  #aggregate(subject: string, happening: Happening): Happening {
    const similar = [subject, happening.type, happening.reason, happening.action].join('\n');
    const notes = this.#notes.get(similar, () => new Set());
    if (notes.size < MOST_NOTES) notes.add(happening.note);
    if (notes.has(happening.note)) return happening;
    return { ...happening, note: '(combined from similar events)' };
  }

  #event(object: KubeObject, { note, ...happening }: Happening): EventObject {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const date = this.#clock.date();
    const seed = `${this.#options.instance} ${date.getTime()} ${this.#clock.random()} ${name}`;
    const unique = createHash('sha256').update(seed).digest('hex').slice(0, 16);
    return {
      metadata: { name: `${name.slice(0, 200)}.${unique}`, namespace: namespace ?? 'default' },
      ...happening,
      note: Buffer.from(note).subarray(0, LONGEST_NOTE).toString().replace(/�$/, ''),
      eventTime: microTime(date),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance,
      regarding: { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid, resourceVersion },
    };
  }

  #write(series: Series): void {
    if (this.#waiting.size >= MOST_WAITING) {
      metrics.discarded.inc({ reason: 'full' });
      return;
    }
    this.#waiting.add(series);
    this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined));
  }

  async #writeAll(): Promise<void> {
    for (const series of this.#waiting) {
      this.#waiting.delete(series);
      await this.#writeOne(series);
    }
  }

  async #writeOne(series: Series): Promise<void> {
    for (let tried = 1; tried <= TRIES; tried += 1) {
      try {
        await this.#send(series);
        return;
      } catch (error) {
        if (tried === TRIES || this.#end.signal.aborted) this.#failed(error);
        else await pause(this.#clock, RETRY_MS * (0.5 + this.#clock.random()), this.#end.signal);
      }
    }
  }

  async #send(series: Series): Promise<void> {
    const { api } = this.#options;
    const { event } = series;
    if (!series.written) {
      await api.create(event);
      series.written = true;
    }
    if (series.count === 1) return;
    const lastObservedTime = microTime(this.#clock.date());
    await api.mergePatch(event.metadata, { series: { count: series.count, lastObservedTime } });
  }

  #failed(error: unknown): void {
    metrics.discarded.inc({ reason: 'failed' });
    this.#options.log.warn({ err: error }, 'an event could not be written');
  }
}

/** The last used entries, so many at most. */
class Remembered<V> {
  readonly #most: number;
  readonly #entries = new Map<string, V>();

  constructor(most: number) {
    this.#most = most;
  }

  peek(key: string): V | undefined {
    return this.#entries.get(key);
  }

  get(key: string, make: () => V): V {
    const value = this.#entries.get(key) ?? make();
    this.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#most) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
