/** One read for all who ask for the same meanwhile: many sales that end at one instant must not each ask Kafka for all of it. */

/** Shares what one call answers: as with `SharedReads`, a call that has begun is joined by nobody. */
export class SharedCalls<T> {
  readonly #waiting = new Map<string, Promise<T>>();
  /** Settles with the last call of a key, always fulfilled. */
  readonly #running = new Map<string, Promise<void>>();

  /** What `work` resolves to, begun after this call by whoever asked first. */
  call(key: string, work: () => Promise<T>): Promise<T> {
    const joined = this.#waiting.get(key);
    if (joined) return joined;
    const next = (this.#running.get(key) ?? Promise.resolve()).then(() => {
      this.#waiting.delete(key);
      return work();
    });
    this.#waiting.set(key, next);
    const ended = next.then(
      () => undefined,
      () => undefined,
    );
    this.#running.set(key, ended);
    void ended.then(() => {
      if (this.#running.get(key) === ended) this.#running.delete(key);
    });
    return next;
  }
}

/**
 * Hands out reads by key. A read that has begun takes no more readers: its end may lie before what they must see. Who
 * comes later shares the next one, which begins when it has ended, so there is one at a time and one that waits.
 * Readers go in step, the slowest leads: each has to read on, or to leave its `for await`.
 */
export class SharedReads<T> {
  readonly #open: (key: string) => AsyncIterator<T>;
  readonly #waiting = new Map<string, Reading<T>>();
  readonly #turns = new SharedCalls<void>();

  constructor(open: (key: string) => AsyncIterator<T>) {
    this.#open = open;
  }

  /** Everything that is there at the time of the call, and perhaps what comes until the read begins. */
  async *read(key: string): AsyncGenerator<T> {
    const reading = this.#join(key);
    try {
      for (let next = await reading.next(); next.done !== true; next = await reading.next()) yield next.value;
    } finally {
      reading.leave();
    }
  }

  #join(key: string): Reading<T> {
    const reading = this.#waiting.get(key) ?? this.#prepare(key);
    reading.enter();
    return reading;
  }

  #prepare(key: string): Reading<T> {
    const reading = new Reading(() => this.#open(key));
    this.#waiting.set(key, reading);
    void this.#turns.call(key, () => {
      this.#waiting.delete(key);
      reading.begin();
      return reading.ended;
    });
    return reading;
  }
}

class Reading<T> {
  readonly #open: () => AsyncIterator<T>;
  readonly #end = Promise.withResolvers<undefined>();
  #source: AsyncIterator<T> | undefined;
  #readers = 0;
  /** Readers that wait for the next step. */
  #asked = 0;
  #step = Promise.withResolvers<IteratorResult<T>>();

  constructor(open: () => AsyncIterator<T>) {
    this.#open = open;
  }

  /** Resolves when the last reader has left and the source is closed. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  enter(): void {
    this.#readers += 1;
  }

  begin(): void {
    this.#source = this.#open();
    this.#go();
  }

  next(): Promise<IteratorResult<T>> {
    const { promise } = this.#step;
    this.#asked += 1;
    this.#go();
    return promise;
  }

  leave(): void {
    this.#readers -= 1;
    this.#go();
  }

  #go(): void {
    if (!this.#source || this.#asked < this.#readers) return;
    if (this.#readers === 0) {
      const ended = (): void => this.#end.resolve(undefined);
      void Promise.resolve(this.#source.return?.()).then(ended, ended);
      return;
    }
    const step = this.#step;
    this.#step = Promise.withResolvers();
    this.#asked = 0;
    this.#source.next().then(step.resolve, step.reject);
  }
}
