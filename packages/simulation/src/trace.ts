/** What happened, line by line, where somebody wants to read it. */
import { createLogger, type Logger } from '@flashsale/platform/log';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

const silent = createLogger('simulation', 'silent');

export class Trace {
  readonly on: boolean;
  readonly lines: string[] = [];

  constructor(on: boolean) {
    this.on = on;
  }

  add(now: number, text: string): void {
    if (this.on) this.lines.push(`${now.toFixed(1).padStart(9)}  ${text}`);
  }

  /** The log of a process; its lines are part of the trace. */
  logger(life: Life, scheduler: Scheduler): Logger {
    if (!this.on) return silent;
    const say = (fields: Record<string, unknown>, message: string): void => {
      const { err, ...rest } = fields;
      const cause = err instanceof Error ? ` (${err.message})` : '';
      this.add(scheduler.now, `${life.name} says: ${message}${cause} ${JSON.stringify(rest)}`);
    };
    return Object.assign(Object.create(silent) as Logger, {
      debug: () => undefined,
      info: say,
      warn: say,
      error: say,
      fatal: say,
    });
  }
}
