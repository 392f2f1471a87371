/** When pages expire: spread so evenly that no two seconds hold more than twice the mean of expiries. */

export interface PageLife {
  readonly ttlMs: number;
  /** The part of `ttlMs` by which expiries are spread, 0 to 1. */
  readonly jitter: number;
}

/** However much jitter there is, a page lives for this part of its ttl: else some would be gone at once. */
const LEAST_PART = 0.25;

/** The shortest life of a page, in ms; `ttlMs` is the longest. */
export function shortestLife({ ttlMs, jitter }: PageLife): number {
  return Math.ceil(ttlMs * Math.max(1 - jitter, LEAST_PART));
}

/** Places looked at for a page among others. */
const PLACES = 32;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** Expiries this near crowd each other: two seconds, and what one load may take longer than another. */
const NEAR_MS = 2_200;

/**
 * Gives pages their lives. Pages that are loaded together, with none of another load expiring at that time, get equal
 * distances: random ones would put three of 21 pages into two seconds in every other load. Beside expiries that were
 * given out before, each page gets the emptiest of some places, and of equal ones that with the nearest neighbour
 * farthest away. The places come from the golden-ratio sequence, which never comes close to itself (Knuth, TAOCP 3, 6.4). Remembers what has not expired; forgetting it costs evenness.
 */
export class ExpirySpread {
  readonly #expiries = new Map<string, number>();
  #turn = 0;

  /** Lives in ms, in the order of the pages. `now`: Unix ms. */
  place(pages: readonly string[], life: PageLife, now: number): number[] {
    for (const [page, at] of this.#expiries) if (at <= now) this.#expiries.delete(page);
    for (const page of pages) this.#expiries.delete(page);
    const from = now + shortestLife(life);
    const width = now + life.ttlMs - from;
    const others = [...this.#expiries.values()].filter((at) => at > from - NEAR_MS && at < now + life.ttlMs + NEAR_MS);
    const expiries =
      others.length === 0 ? evenly(pages.length, from, width) : this.#among(others, pages.length, from, width);
    pages.forEach((page, i) => this.#expiries.set(page, expiries[i] ?? from));
    return expiries.map((at) => at - now);
  }

  #among(others: number[], count: number, from: number, width: number): number[] {
    const taken = others.sort((a, b) => a - b);
    return Array.from({ length: count }, () => {
      let best: Place = { at: from, most: Infinity, distance: 0 };
      for (let tries = 0; tries < PLACES; tries++) {
        const turn = (++this.#turn * GOLDEN) % 1;
        const place = placeAt(taken, Math.floor(from + width * turn));
        if (place.most < best.most || (place.most === best.most && place.distance > best.distance)) best = place;
      }
      taken.splice(indexIn(taken, best.at), 0, best.at);
      return best.at;
    });
  }
}

function evenly(count: number, from: number, width: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(from + (width * (i + 0.5)) / count));
}

/** The first index of a sorted list whose value is not below `value`. */
function indexIn(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Place {
  readonly at: number;
  /** The most expiries near each other of which this place is one, itself counted. */
  readonly most: number;
  /** Ms to the nearest. */
  readonly distance: number;
}

function placeAt(sorted: readonly number[], at: number): Place {
  const next = indexIn(sorted, at);
  const [begin, end] = [indexIn(sorted, at - NEAR_MS + 1), indexIn(sorted, at + NEAR_MS)];
  let most = 1;
  // Each window that begins at one of those before it, or at itself.
  for (let first = begin, last = next; first <= next; first++) {
    const until = (first === next ? at : (sorted[first] ?? at)) + NEAR_MS;
    while (last < end && (sorted[last] ?? until) < until) last++;
    most = Math.max(most, last - first + 1);
  }
  return { at, most, distance: Math.min(at - (sorted[next - 1] ?? -Infinity), (sorted[next] ?? Infinity) - at) };
}
