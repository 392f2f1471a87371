// The WebSocket: connects with an anonymous ticket, comes back by itself, and says when something may have been missed.
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20_000;

/** Milliseconds to wait after the n-th failure in a row: doubling, with full jitter, so that a crowd spreads out. */
export function backoffMs(failures, random = Math.random()) {
  return random * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 16));
}

/** A server that restarts tells each client when to come back. */
export function hintMs(reason) {
  try {
    const { reconnectInMs } = JSON.parse(reason);
    return Number.isFinite(reconnectInMs) && reconnectInMs >= 0 && reconnectInMs <= 60_000 ? reconnectInMs : undefined;
  } catch {
    return undefined;
  }
}

async function ticket() {
  const response = await fetch('/api/v1/live/tickets', { method: 'POST', signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return (await response.json()).ticket;
}

/**
 * onMessage(message) for each message; onSnapshot() after each connect and after a gap in seq;
 * onLine(true | false) as the connection comes and goes.
 */
export function listen({ onMessage, onSnapshot, onLine }) {
  let failures = 0;

  const again = (wait) => setTimeout(connect, wait ?? backoffMs(failures++));

  async function connect() {
    let socket;
    try {
      const query = new URLSearchParams({ ticket: await ticket() });
      socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/api/v1/live?${query}`);
    } catch {
      onLine(false);
      again();
      return;
    }
    let last = 0;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      const gap = message.seq !== last + 1;
      last = message.seq;
      if (message.type === 'hello') {
        failures = 0;
        onLine(true);
      }
      if (gap || message.type === 'hello') onSnapshot();
      onMessage(message);
    };
    socket.onclose = ({ reason }) => {
      onLine(false);
      again(hintMs(reason));
    };
  }

  void connect();
}
