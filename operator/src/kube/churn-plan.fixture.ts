/** What owners and others do to many sales, decided ahead by chance that can be repeated. Pure. */
import { generator } from '@flashsale/kube/random.fixture';

/** Where a sale is by its clock when all is over. */
export type Kind = 'over' | 'open' | 'armed' | 'scheduled';

export type Edit =
  | { readonly do: 'stock' | 'price'; readonly by: number }
  | { readonly do: 'pause'; readonly paused: boolean }
  | { readonly do: 'title'; readonly title: string }
  /** The opening, and the closing with it, this many ms later. */
  | { readonly do: 'move'; readonly by: number };

export type Action =
  | Edit
  | { readonly do: 'buy'; readonly by: number }
  /** One of `INVALID`. */
  | { readonly do: 'invalid'; readonly which: number }
  /** Labels and annotations, by the owner or by another field manager. */
  | { readonly do: 'label'; readonly by: 'owner' | 'other'; readonly value: string }
  | { readonly do: 'delete' }
  | { readonly do: 'anew' };

export interface Step {
  /** From the beginning of the run, ms. */
  readonly at: number;
  readonly action: Action;
}

export interface Plan {
  readonly name: string;
  readonly kind: Kind;
  readonly applyAt: number;
  /** After it was applied, ms. */
  readonly opensIn: number;
  /** After the opening, ms. */
  readonly openFor: number;
  readonly stock: number;
  readonly steps: readonly Step[];
}

/** Sales are applied within this, and each is edited for as long after it was, ms. */
export const APPLY_MS = 30_000;
export const EDIT_MS = 20_000;
/** Longest way from the beginning to the last closing, ms. */
export const RUN_MS = APPLY_MS + 15_000 + 30_000;

const HOUR_MS = 3_600_000;
const LEAST_STEPS = 4;
const MORE_STEPS = 4;
const BUYERS = 4;

type Random = () => number;
const within = (random: Random, from: number, to: number): number => Math.floor(from + random() * (to - from));
function pick<T>(random: Random, of: readonly [T, ...T[]]): T {
  return of[Math.floor(random() * of.length)] ?? of[0];
}

/** The same seed and count give the same plans. */
export function plansOf(seed: number, count: number): Plan[] {
  return Array.from({ length: count }, (_, n) => planOf(generator(seed * 1_000 + n), `churn-${n}`));
}

function planOf(random: Random, name: string): Plan {
  const kind = pick<Kind>(random, ['over', 'over', 'over', 'over', 'open', 'armed', 'armed', 'scheduled']);
  const applyAt = within(random, 0, APPLY_MS);
  return {
    name,
    kind,
    applyAt,
    ...windowOf(kind, random),
    stock: within(random, 5, 30),
    steps: [...stepsOf(random, applyAt), ...buyersOf(random, applyAt)].toSorted((a, b) => a.at - b.at),
  };
}

function windowOf(kind: Kind, random: Random): Pick<Plan, 'opensIn' | 'openFor'> {
  const soon = within(random, 8_000, 15_000);
  if (kind === 'over') return { opensIn: soon, openFor: within(random, 25_000, 30_000) };
  if (kind === 'open') return { opensIn: soon, openFor: HOUR_MS };
  return { opensIn: kind === 'armed' ? HOUR_MS : 10 * HOUR_MS, openFor: HOUR_MS };
}

/** Of ten sales one is deleted at its end, and one in the middle of its life, to be applied anew. */
function stepsOf(random: Random, applyAt: number): Step[] {
  const count = LEAST_STEPS + Math.floor(random() * MORE_STEPS);
  const times = Array.from({ length: count }, () => within(random, applyAt + 500, applyAt + EDIT_MS));
  const fate = random();
  return times
    .toSorted((a, b) => a - b)
    .map((at, index) => {
      if (fate < 0.1 && index === count - 1) return { at, action: { do: 'delete' } };
      if (fate >= 0.1 && fate < 0.2 && index === count >> 1) return { at, action: { do: 'anew' } };
      return { at, action: actionOf(random) };
    });
}

/** They come while it is open, if it ever is. */
function buyersOf(random: Random, applyAt: number): Step[] {
  const at = (): number => within(random, applyAt + 12_000, applyAt + 40_000);
  return Array.from({ length: BUYERS }, () => ({ at: at(), action: { do: 'buy', by: within(random, 1, 4) } }));
}

function actionOf(random: Random): Action {
  const value = String(within(random, 0, 1_000));
  return pick<() => Action>(random, [
    () => ({ do: 'stock', by: within(random, 1, 10) }),
    () => ({ do: 'stock', by: -within(random, 1, 6) }),
    () => ({ do: 'pause', paused: random() < 0.5 }),
    () => ({ do: 'title', title: `Größe ${value}` }),
    () => ({ do: 'price', by: within(random, 1, 500) }),
    () => ({ do: 'move', by: within(random, 500, 4_000) }),
    () => ({ do: 'invalid', which: within(random, 0, 1_000) }),
    () => ({ do: 'label', by: random() < 0.5 ? 'owner' : 'other', value }),
  ])();
}
