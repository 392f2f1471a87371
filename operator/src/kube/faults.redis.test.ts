/** The operator in front of an API server that misbehaves: sales edited meanwhile end as their specs ask, without a storm. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { excesses, FAULTS, outcomeOf } from '@flashsale/kube/faults/faults.fixture';
import { OPERATOR, startOperating } from './operating.fixture.ts';

const redis = await testRedis();

// They wait most of the time.
suite('the operator comes right after', { concurrency: 2 }, () => {
  for (const fault of FAULTS) {
    test(fault.name, async (t) => {
      const outcome = await outcomeOf(fault, startOperating(redis));
      const { seconds, requests, lists, watches } = outcome;
      t.diagnostic(`${seconds.toFixed(2)} s, ${requests} requests, ${lists} lists, ${watches} watches`);
      assert.deepEqual(excesses(fault, outcome, OPERATOR), []);
    });
  }
});
