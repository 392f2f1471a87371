/** A reflector in front of a server that misbehaves on the wire: right again in time, and without a storm of requests. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { FAULTS, outcomeOf } from './faults.fixture.ts';
import { startReflecting } from './reflecting.fixture.ts';

/** One request at the fault, three waits at most (see `LAST_WAIT_S`), each before a list of four pages and a watch. */
const MOST_REQUESTS = 16;

// They wait most of the time.
suite('a reflector comes right after', { concurrency: 4 }, () => {
  for (const fault of FAULTS) {
    test(fault.name, async (t) => {
      const { seconds, requests, lists, watches, cutCharacters } = await outcomeOf(fault, startReflecting);
      t.diagnostic(`${seconds.toFixed(2)} s, ${requests} requests, ${lists} lists, ${watches} watches`);
      assert.ok(seconds < fault.withinS, `${seconds} s, not ${fault.withinS}`);
      assert.ok(requests <= MOST_REQUESTS, `${requests} requests`);
      if (fault.name.includes('within characters')) assert.ok(cutCharacters > 100, `${cutCharacters} characters cut`);
    });
  }
});
