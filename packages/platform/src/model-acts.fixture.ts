/** What the model test does to a sale: buyers, acts and their random generation. */
import fc from 'fast-check';
import type { Buyer, ReleaseRequest } from '@flashsale/sale';

export const HOUR = 3_600_000;
export const SHORT_MS = 1;
export const SKUS = ['shoe', 'hat'] as const;
export const KEYS = ['a', 'b', 'c'] as const;
/** In the bitmap, above the bitmap's end, and without a number. */
export const BUYERS: readonly Buyer[] = [
  { id: 'ann', number: 0 },
  { id: 'bob', number: 7 },
  { id: 'cat', number: 8 },
  { id: 'dan', number: 2 ** 24 + 3 },
  { id: 'eve' },
  { id: 'fay\nline' },
];
export const MEMBERS = [7, 2 ** 24 + 3];

export interface Scenario {
  readonly shards: number;
  readonly stocks: readonly [number, number];
  readonly limits: readonly [number, number];
  readonly membersOnly: boolean;
}
export interface Ask {
  readonly buyer: number;
  readonly key: number;
  readonly sku: number;
  readonly quantity: number;
}
/** A purchase that has a hold (the `nth`) or, where `any`, some purchase. `other`: names the item that it is not of. */
export interface Pick {
  readonly buyer: number;
  readonly key: number;
  readonly nth: number;
  readonly any: boolean;
  readonly other: boolean;
}
export type Act =
  | { readonly kind: 'purchase'; readonly asks: readonly Ask[]; readonly epochOff: number }
  | { readonly kind: 'settle'; readonly picks: readonly Pick[]; readonly epochOff: number }
  | {
      readonly kind: 'release';
      readonly picks: readonly Pick[];
      readonly status: ReleaseRequest['status'];
      readonly epochOff: number;
    }
  | { readonly kind: 'configure'; readonly gate: 'open' | 'paused' | 'early' | 'over'; readonly short: boolean }
  | { readonly kind: 'raise'; readonly units: number }
  | { readonly kind: 'sweep' | 'close' | 'rebuild' | 'lose' };

const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
const epochOff = fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1) });
const buyer = small(BUYERS.length - 1);
const key = small(KEYS.length - 1);
const quantity = fc.oneof(
  { weight: 3, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.integer({ min: 2, max: 3 }) },
);
const asks = fc.array(fc.record({ buyer, key, sku: small(1), quantity }), { minLength: 1, maxLength: 8 });
const oneIn = (n: number): fc.Arbitrary<boolean> => small(n - 1).map((drawn) => drawn === n - 1);
const picks = fc.array(fc.record({ buyer, key, nth: small(99), any: oneIn(5), other: oneIn(10) }), {
  minLength: 1,
  maxLength: 5,
});
const status = fc.constantFrom('refused' as const, 'expired' as const, 'refunded' as const);
export const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('purchase' as const), asks, epochOff }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('settle' as const), picks, epochOff }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('release' as const), picks, status, epochOff }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('configure' as const),
      gate: fc.constantFrom(
        'open' as const,
        'open' as const,
        'open' as const,
        'paused' as const,
        'early' as const,
        'over' as const,
      ),
      short: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('raise' as const), units: small(3) }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'sweep' as const }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ kind: 'close' as const }, { kind: 'rebuild' as const }, { kind: 'lose' as const }),
  },
);
export const scenario: fc.Arbitrary<Scenario> = fc.record({
  shards: fc.integer({ min: 1, max: 8 }),
  stocks: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
  limits: fc.tuple(fc.constant(1), fc.integer({ min: 1, max: 4 })),
  membersOnly: oneIn(6),
});
