/** Progress of slow steps, on stderr: one live line on a terminal, plain lines elsewhere. */

/** Seconds between signs of life where there is no terminal. */
const HEARTBEAT_S = 15;

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/** Writes one line of progress. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Runs `work` and shows `label` with the time that passed. Rethrows what it throws. */
export async function step<T>(label: string, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const tty = process.stderr.isTTY;
  const show = (): void => {
    process.stderr.write(tty ? `\r\u001B[K… ${label} (${seconds(started)})` : `… ${label} (${seconds(started)})\n`);
  };
  show();
  const timer = setInterval(show, tty ? 200 : HEARTBEAT_S * 1000);
  const end = (mark: string): void => {
    clearInterval(timer);
    process.stderr.write(`${tty ? '\r\u001B[K' : ''}${mark} ${label} (${seconds(started)})\n`);
  };
  try {
    const result = await work();
    end('✔');
    return result;
  } catch (error) {
    end('✘');
    throw error;
  }
}
