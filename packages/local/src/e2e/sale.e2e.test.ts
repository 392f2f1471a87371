/** One sale through the whole platform: the rush, the proof, its end, and that all of it is still there after a restart. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, TestPlatform } from './test-platform.ts';

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start();
});
after(() => platform.end());

test(
  '5,000 buyers on 1,000 units: exactly 1,000 are sold, refused payments are sold again',
  { timeout: 180_000 },
  async () => {
    await platform.apply('drop', { stock: 1000 });
    await platform.until('drop', 'Armed', (status) => status.phase === 'Armed' || status.phase === 'Open');
    const report = await platform.rush('drop', 5000, 256);
    assert.equal(report.sold, 1000);
    assert.ok(report.refused > 0, 'some payments were refused');
    assert.equal(report.sold + report.refused + report.soldOut, 5000, 'one final answer each');
    assert.ok(report.pushed > report.polled, 'most heard by WebSocket');
    const proof = await platform.proof('drop');
    assert.deepEqual(proof.problems, []);
    assert.equal(proof.sold, 1000);
    assert.equal(proof.free, 0);
  },
);

test('the gate opens by the clock, and a buyer is told when', async () => {
  await platform.apply('later', { stock: 1, opensInMs: 120_000 });
  const [token] = await tokens(1);
  const answer = await eventually('the sale is known', 10_000, async () => {
    const reply = await buy('later', token ?? '', 'k1');
    return reply.status === 404 ? undefined : reply;
  });
  assert.equal(answer.status, 425);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
  const problem = (await answer.json()) as { code: string; opensAt: string };
  assert.equal(problem.code, 'sale_not_open');
  assert.ok(Date.parse(problem.opensAt) > Date.now());
});

test('the same key gets the same answer, another body under it none', async () => {
  await platform.apply('once', { stock: 5 });
  await platform.until('once', 'Open', (status) => status.phase === 'Open');
  const [token = '', other = ''] = await tokens(2);
  const first = await buy('once', token, 'key-1');
  assert.equal(first.status, 202);
  const body = (await first.json()) as { id: string };
  assert.equal(first.headers.get('location'), `/api/v1/purchases/${body.id}`);
  const again = (await (await buy('once', token, 'key-1')).json()) as { id: string };
  assert.equal(again.id, body.id);
  assert.equal((await buy('once', token, 'key-1', 2)).status, 400, 'two are more than one buyer may have');
  assert.equal((await buy('once', token, 'key-2')).status, 409, 'one a buyer');
  const foreign = await fetch(`${platform.edge}/api/v1/purchases/${body.id}`, {
    headers: { authorization: `Bearer ${other}` },
  });
  assert.equal(foreign.status, 404, 'another buyer’s purchase is nobody’s business');
});

test('a sale drains and closes with a proof, and data survives down and up', { timeout: 180_000 }, async () => {
  await platform.apply('short', { stock: 50, openForMs: 6_000, holdFor: '20s' });
  await platform.until('short', 'Open', (status) => status.phase === 'Open');
  const report = await platform.rush('short', 200);
  const closed = await platform.until('short', 'Closed', (status) => status.proof !== undefined, 60_000);
  assert.equal(closed.phase, 'Closed');
  assert.deepEqual(closed.proof?.problems, []);
  assert.equal(closed.proof.sold, report.sold);
  assert.equal(closed.conditions.find((condition) => condition.type === 'Reconciled')?.status, 'True');

  await platform.down();
  await platform.up();
  const proof = await platform.proof('short');
  assert.equal(proof.holds, true);
  assert.equal(proof.sold, report.sold);
  const [token = ''] = await tokens(1);
  const late = await eventually('the closed sale is known again', 10_000, async () => {
    const reply = await buy('short', token, 'k');
    return reply.status === 404 ? undefined : reply;
  });
  assert.equal(late.status, 410);
});

async function tokens(count: number): Promise<string[]> {
  const body = JSON.stringify({ count, from: 900_000 });
  const url = `${platform.running.urls['IDENTITY_URL'] ?? ''}/internal/test-tokens`;
  const reply = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return (await reply.text()).trim().split('\n');
}

function buy(sale: string, token: string, key: string, quantity = 1): Promise<Response> {
  return fetch(`${platform.edge}/api/v1/sales/${sale}/purchases`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({ sku: 'shoe', quantity }),
  });
}
