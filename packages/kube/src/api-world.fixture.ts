/** An API server in simulated time: history, compaction, and all that goes wrong on the way to its client. */
import { ApiError } from './api-error.ts';
import { keyOf, type KubeObject } from './object.ts';
import type { ListWatch, Page, WatchEvent, WatchQuery } from './ports.ts';
import type { World } from './world.fixture.ts';

type Change = Exclude<WatchEvent<KubeObject>, { type: 'BOOKMARK' | 'ERROR' }>;

/** Chances of each, from 0 to 1. */
export interface ApiFaults {
  /** A list or watch is refused: 500, 429, 410. */
  refuse: number;
  /** After an event: the connection breaks, or stays open and brings nothing more, or the server ends it. */
  cut: number;
  /** An event comes twice. */
  twice: number;
  /** An event comes only after the next one, or is lost where there is none. */
  late: number;
}

const EVERY_MS = 200;
const BOOKMARK_MS = 60_000;

export class ApiWorld implements ListWatch<KubeObject> {
  readonly objects = new Map<string, KubeObject>();
  readonly faults: ApiFaults;
  readonly #world: World;
  readonly #random: () => number;
  #history: Change[] = [];
  #version = 100;
  #compacted = 100;
  lists = 0;

  constructor(world: World, random: () => number, faults: ApiFaults) {
    this.#world = world;
    this.#random = random;
    this.faults = faults;
  }

  /** Creates, changes or deletes the object of that name. */
  act(name: string, deletes: boolean): void {
    const before = this.objects.get(`n/${name}`);
    this.#version += 1;
    const uid = before?.metadata.uid ?? `uid-${this.#version}`;
    const object = { metadata: { name, namespace: 'n', uid, resourceVersion: String(this.#version) } };
    if (before !== undefined && deletes) this.objects.delete(keyOf(object));
    else this.objects.set(keyOf(object), object);
    const type = before === undefined ? 'ADDED' : deletes ? 'DELETED' : 'MODIFIED';
    this.#history.push({ type, object });
  }

  /** Forgets all history: who watches from before gets 410. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  /** Goes back to a state of long ago, which held these objects alone. */
  restore(names: readonly string[]): void {
    this.objects.clear();
    this.#history = [];
    this.#version = 10;
    this.#compacted = 0;
    for (const name of names) this.act(name, false);
    this.#history = [];
  }

  /** All in one page: the state of one moment. */
  async list(): Promise<Page<KubeObject>> {
    await this.#world.wait(this.#random() * 100);
    this.#refuse();
    this.lists += 1;
    const page = { items: [...this.objects.values()], resourceVersion: String(this.#version) };
    await this.#world.wait(this.#random() * 100);
    return page;
  }

  async watch(
    query: WatchQuery,
    signal: AbortSignal,
    heard: () => void,
  ): Promise<AsyncIterable<WatchEvent<KubeObject>>> {
    await this.#world.wait(this.#random() * 100);
    this.#refuse();
    return listened(this.#stream(Number(query.resourceVersion), query.timeoutSeconds, signal), heard);
  }

  async *#stream(from: number, timeoutSeconds: number, signal: AbortSignal): AsyncIterable<WatchEvent<KubeObject>> {
    const end = this.#world.now + timeoutSeconds * 1000;
    let at = from;
    let marked = this.#world.now;
    const held: Change[] = [];
    while (this.#world.now < end && !signal.aborted) {
      if (at < this.#compacted) yield { type: 'ERROR', object: { code: 410, reason: 'Expired' } };
      for (const change of this.#history.filter(({ object }) => Number(object.metadata.resourceVersion) > at)) {
        at = Number(change.object.metadata.resourceVersion);
        if (this.#random() < this.faults.late) {
          held.push(change);
          continue;
        }
        yield change;
        if (this.#random() < this.faults.twice) yield change;
        yield* held.splice(0);
        if (this.#random() < this.faults.cut && !(await this.#cut(signal))) return;
      }
      if (this.#world.now - marked > BOOKMARK_MS) {
        marked = this.#world.now;
        yield { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(at) } } };
      }
      await this.#world.wait(EVERY_MS);
    }
    signal.throwIfAborted();
  }

  /** Throws, returns false, or is silent until the client gives up. */
  async #cut(signal: AbortSignal): Promise<boolean> {
    const how = this.#random();
    if (how < 0.3) throw new Error('connection reset');
    if (how < 0.6) return false;
    while (!signal.aborted) await this.#world.wait(1000);
    throw new Error('aborted');
  }

  #refuse(): void {
    if (this.#random() >= this.faults.refuse) return;
    const code = [500, 429, 410][Math.floor(this.#random() * 3)] ?? 500;
    throw new ApiError('refused', { code }, code === 429 ? 1000 : 0);
  }
}

async function* listened<T>(events: AsyncIterable<T>, heard: () => void): AsyncIterable<T> {
  for await (const event of events) {
    heard();
    yield event;
  }
}
