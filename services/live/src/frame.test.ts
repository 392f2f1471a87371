/** Frames written by hand, read back by the rules of RFC 6455. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sharedBody, textFrame } from './frame.ts';

/** Payload of one unmasked text frame; fails where the frame is longer or shorter than its header says. */
function payloadOf(frame: Buffer): string {
  assert.equal(frame[0], 0x81);
  const short = frame[1] as number;
  assert.ok(short < 128, 'a server must not mask');
  let offset = 2;
  let length = short;
  if (short === 126) [offset, length] = [4, frame.readUInt16BE(2)];
  if (short === 127) [offset, length] = [10, Number(frame.readBigUInt64BE(2))];
  // The shortest form that fits is the only valid one.
  assert.equal(short, length < 126 ? length : length < 65_536 ? 126 : 127);
  assert.equal(frame.length, offset + length);
  return frame.toString('utf8', offset);
}

test('a frame holds the message and the seq, whatever their size', () => {
  const message = fc.record({ type: fc.string(), text: fc.string({ unit: 'grapheme', maxLength: 400 }) });
  fc.assert(
    fc.property(message, fc.nat(), (value, seq) => {
      assert.deepEqual(JSON.parse(payloadOf(textFrame(seq, sharedBody(value)))), { seq, ...value });
    }),
  );
});

test('the three forms of the length at their borders', () => {
  // `{"seq":1,` and `"t":""}` around the text.
  const around = '{"seq":1,"t":""}'.length;
  for (const length of [125, 126, 65_535, 65_536]) {
    const payload = payloadOf(textFrame(1, sharedBody({ t: 'x'.repeat(length - around) })));
    assert.equal(payload.length, length);
  }
});
