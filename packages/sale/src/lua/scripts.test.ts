/** The Lua scripts use the codes of outcome.ts and no others, and their generated texts are whole. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { RESERVE, RESOLVE } from '../outcome.ts';
import { callRelease, callReserve, callSettle, type RunScript, type Script } from './scripts.generated.ts';

/** The script that a caller runs, with the keys and arguments it passes. */
async function captured(
  call: (run: RunScript) => Promise<unknown>,
): Promise<{ script: Script; keys: readonly string[]; args: readonly (string | number)[] }> {
  const calls: { script: Script; keys: readonly string[]; args: readonly (string | number)[] }[] = [];
  await call((script, keys, args) => {
    calls.push({ script, keys, args });
    return Promise.resolve([]);
  });
  assert.ok(calls[0]);
  return calls[0];
}

const KEYS = {
  meta: 'm',
  item: 'i',
  holds: 'h',
  due: 'd',
  outbox: 'o',
  bits: 'b',
  counts: 'c',
  transfers: 't',
  eligible: 'e',
};
const one = { id: 'x', body: 'text' };
const reserve = () => captured((run) => callReserve(run, KEYS, { epoch: 1, sku: 's' }, [one, one]));
const release = () => captured((run) => callRelease(run, KEYS, { sku: 's' }, [{ id: 'x', status: 2, epoch: 1 }]));
const settle = () => captured((run) => callSettle(run, KEYS, { sku: 's' }, [{ id: 'x', epoch: 1 }]));

/** Negative numbers as they stand in a script's text. */
const negatives = (...scripts: readonly Script[]): number[] =>
  [...new Set(scripts.flatMap(({ text }) => [...text.matchAll(/-\d+\b/g)].map(([digits]) => Number(digits))))].sort();
const refusals = (codes: Readonly<Record<string, number>>): number[] =>
  Object.values(codes)
    .filter((code) => code < 0)
    .sort();

test('reserve uses every RESERVE code and no other', async () => {
  assert.deepEqual(negatives((await reserve()).script), refusals(RESERVE));
  assert.deepEqual([RESERVE.reserved, RESERVE.replayed], [1, 2]);
});

test('release and settle use every RESOLVE code and no other', async () => {
  assert.deepEqual(negatives((await release()).script, (await settle()).script), refusals(RESOLVE));
  assert.deepEqual([RESOLVE.done, RESOLVE.already], [1, 2]);
});

test('a typed caller passes keys and arguments in the order of the header', async () => {
  const { script, keys, args } = await reserve();
  assert.deepEqual(keys, ['m', 'i', 'h', 'd', 'o', 'b', 'c', 't', 'e']);
  assert.deepEqual(args, [1, 's', 'x', 'text', 'x', 'text']);
  assert.equal(script.sha1, createHash('sha1').update(script.text).digest('hex'));
  assert.ok(!script.text.includes('@include'));
});
