/**
 * Text frames as a server sends them (RFC 6455 section 5.2), built so that a broadcast is serialised once:
 * only the few bytes in front of the shared rest, with the socket's own `seq`, differ from socket to socket.
 */

const FIN_TEXT = 0x81;

/** A message without its `seq`: everything behind `{"seq":N,`. */
export type SharedBody = Buffer;

/** Serialises a message once for all sockets. It has at least one member. */
export function sharedBody(message: object): SharedBody {
  return Buffer.from(JSON.stringify(message).slice(1));
}

/** One unmasked, unfragmented text frame with the JSON `{"seq":seq,…body`. */
export function textFrame(seq: number, body: SharedBody): Buffer {
  const head = `{"seq":${seq},`;
  const length = head.length + body.length;
  const offset = headerLength(length);
  const frame = Buffer.allocUnsafe(offset + length);
  frame[0] = FIN_TEXT;
  if (offset === 2) {
    frame[1] = length;
  } else if (offset === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(head, offset, 'latin1');
  body.copy(frame, offset + head.length);
  return frame;
}

function headerLength(payload: number): number {
  if (payload < 126) return 2;
  return payload < 65_536 ? 4 : 10;
}
