/** What every sale store must do: one suite, run against each implementation with its real server. */
import { describe, test } from 'node:test';
import { borrowing, ending, fencing, reserving } from './ports-buying.contract.ts';
import type { Declare, StoreUnderTest } from './ports-fixtures.contract.ts';
import { anything, operating, relaying } from './ports-operating.contract.ts';

export type { StoreUnderTest } from './ports-fixtures.contract.ts';

/** Declares the suite. `make` is called once a test file; the tests isolate themselves by sale names. */
export function saleStoreContract(name: string, make: () => Promise<StoreUnderTest>): void {
  let made: Promise<StoreUnderTest> | undefined;
  const under = (): Promise<StoreUnderTest> => (made ??= make());
  const it: Declare = (title, body) => {
    test(title, { timeout: 60_000 }, async () => {
      const one = await under();
      await body(one.store, one);
    });
  };
  describe(name, () => {
    reserving(it);
    ending(it);
    borrowing(it);
    fencing(it);
    operating(it);
    relaying(it);
    anything(it);
  });
}
