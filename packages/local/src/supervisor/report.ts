/** Shows what each process of the platform is doing: a live table on a terminal, plain lines elsewhere. On stderr. */
import type { State } from './supervised.ts';

interface Row {
  state: State;
  detail: string;
  since: number;
  /** ms from its start to ready. */
  took?: number;
}

const MARKS: Readonly<Record<State, string>> = {
  waiting: '·',
  starting: '…',
  ready: '✔',
  restarting: '↻',
  stopping: '…',
  stopped: '·',
  failed: '✘',
};
const REDRAW_MS = 150;

export class Report {
  readonly #rows = new Map<string, Row>();
  readonly #out: NodeJS.WriteStream;
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
  }

  /** Takes the rows that are expected, in order, and starts the table where there is a terminal. */
  begin(names: readonly string[]): void {
    for (const name of names) this.#rows.set(name, { state: 'waiting', detail: '', since: Date.now() });
    if (!this.#out.isTTY) return;
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
    this.#timer.unref();
  }

  /** The last table stays on the screen; what happens from now on is told in plain lines. */
  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#draw();
    this.#timer = undefined;
    this.#drawn = 0;
  }

  readonly onState = (name: string, state: State, detail = ''): void => {
    const row = this.#rows.get(name) ?? { state: 'waiting', detail: '', since: Date.now() };
    const now = Date.now();
    if (state === 'ready') row.took = now - row.since;
    if (state === 'starting') delete row.took;
    this.#rows.set(name, Object.assign(row, { state, detail, since: now }));
    if (this.#timer === undefined && state !== 'waiting') this.#out.write(`${this.#line(name, row)}\n`);
  };

  #draw(): void {
    const up = this.#drawn > 0 ? `\u001B[${this.#drawn}A` : '';
    const lines = [...this.#rows].map(([name, row]) => `\u001B[K${this.#line(name, row)}\n`);
    this.#out.write(up + lines.join(''));
    this.#drawn = lines.length;
  }

  #line(name: string, row: Row): string {
    const running = row.state === 'starting' || row.state === 'stopping';
    const ms =
      row.state === 'ready' ? row.took : running && this.#timer !== undefined ? Date.now() - row.since : undefined;
    const time = ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`;
    const [first = ''] = row.detail.split('\n');
    return `${MARKS[row.state]} ${name.padEnd(14)} ${row.state.padEnd(10)} ${time} ${first}`.trimEnd();
  }
}
