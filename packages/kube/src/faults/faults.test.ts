/** A reflector in front of a server that misbehaves on the wire: right again in time, and without a storm of requests. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { excesses, FAULTS, outcomeOf } from './faults.fixture.ts';
import { REFLECTOR, startReflecting } from './reflecting.fixture.ts';

// They wait most of the time.
suite('a reflector comes right after', { concurrency: 4 }, () => {
  for (const fault of FAULTS) {
    test(fault.name, async (t) => {
      const outcome = await outcomeOf(fault, startReflecting);
      const { seconds, requests, lists, watches, cutCharacters } = outcome;
      t.diagnostic(`${seconds.toFixed(2)} s, ${requests} requests, ${lists} lists, ${watches} watches`);
      assert.deepEqual(excesses(fault, outcome, REFLECTOR), []);
      if (fault.name.includes('within characters')) assert.ok(cutCharacters > 20, `${cutCharacters} characters cut`);
    });
  }
});
