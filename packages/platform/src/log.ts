/** Logging: one JSON object a line, with the correlation id of the work it belongs to. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { pino } from 'pino';

export type Logger = pino.Logger;

const correlation = new AsyncLocalStorage<string>();

/** Runs `work` so that every line logged in it, also after an await, carries `correlationId`. */
export function withCorrelationId<T>(correlationId: string, work: () => T): T {
  return correlation.run(correlationId, work);
}

/**
 * A logger for one process. `level` is one of pino's names, `info` where absent. `fd` 2: on stderr, for commands whose
 * stdout is their answer.
 * Writes are synchronous: the last line before an exit is never lost.
 */
export function createLogger(service: string, level = 'info', fd: 1 | 2 = 1): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    mixin: () => {
      const correlationId = correlation.getStore();
      return correlationId === undefined ? {} : { correlationId };
    },
    redact: ['authorization', 'token', 'password', 'headers.authorization', 'headers.cookie'],
  };
  // pino's own default writes in the background, and lines of the last moment came out of order or not at all.
  return pino(options, pino.destination({ fd, sync: true }));
}
