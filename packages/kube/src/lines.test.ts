/** Lines come out whole however the bytes were cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readLines } from './lines.ts';

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncIterable<Uint8Array> {
  let from = 0;
  for (const size of sizes) {
    yield await Promise.resolve(bytes.subarray(from, from + size));
    from += size;
  }
  yield bytes.subarray(from);
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

test('cut anywhere, even within a character, every ended line comes once and in order', async () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => /^\S(.*\S)?$/.test(text));
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), async (lines, sizes) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join('\n') + 'cut off');
      assert.deepEqual(await collect(readLines(cut(bytes, sizes))), lines);
    }),
  );
});

test('a line without an end does not fill the memory', async () => {
  const endless = cut(
    Buffer.alloc(100, 'x'),
    Array.from({ length: 10 }, () => 10),
  );
  await assert.rejects(collect(readLines(endless, 50)), /longer than 50 bytes/);
});
