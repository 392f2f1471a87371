/** The pure parts of the page's reconnect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

interface LivePage {
  readonly backoffMs: (failures: number, random?: number) => number;
  readonly hintMs: (reason: string) => number | undefined;
}
const { backoffMs, hintMs } = (await import(new URL('../public/live.js', import.meta.url).href)) as LivePage;

test('the wait doubles up to a bound and is jittered down to nothing', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((n) => backoffMs(n, 1)),
    [500, 1000, 2000, 4000],
  );
  assert.equal(backoffMs(1000, 1), 20_000);
  assert.equal(backoffMs(5, 0), 0);
});

test("a server's hint is taken where it is sane", () => {
  assert.equal(hintMs('{"reconnectInMs":1234}'), 1234);
  for (const reason of ['', 'x', 'null', '{"reconnectInMs":-1}', '{"reconnectInMs":9e9}', '{"reconnectInMs":"1"}']) {
    assert.equal(hintMs(reason), undefined, reason);
  }
});
