/** Effects of a process that leads no more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fenced, NotLeadingError } from './fence.ts';

test('calls go through while it leads, with their own this; none is begun after', () => {
  class Port {
    #calls = 0;
    readonly name = 'port';
    act(by: number): number {
      this.#calls += by;
      return this.#calls;
    }
  }
  let leads = true;
  const port = fenced(new Port(), () => leads);
  assert.equal(port.act(2), 2);
  leads = false;
  assert.throws(() => port.act(1), NotLeadingError);
  assert.equal(port.name, 'port');
  leads = true;
  assert.equal(port.act(1), 3);
});
