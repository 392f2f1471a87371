/** Which failures of Redis pass by themselves, so that the caller may be told to try again. */
import { SaleError } from '@flashsale/sale';
import { DeadlineError } from './deadline.ts';

/** First words of server errors of a Redis that is starting, failing over, moving slots or out of room. */
const PASSING_REPLY =
  /^(LOADING|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|READONLY|MASTERDOWN|NOREPLICAS|NOREPLICASREAD|BUSY|OOM|MISCONF|UNBLOCKED)\b/;
/** What ioredis says where there is no connection, or there was none for too long. */
const LOST_CONNECTION =
  /Connection is closed|Stream isn't writeable|max retries per request|Failed to refresh slots cache|Too many Cluster redirections|Command aborted|Command timed out|None of startup nodes is available/;
const LOST_NAMES = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'AbortError']);

/** The error that the caller sees: `try_again_later` for what passes, anything else as it is. */
export function mapRedisError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error), { cause: error });
  if (error instanceof SaleError || !isPassing(error)) return error;
  const mapped = new SaleError('try_again_later', 'The stock cannot be reached right now');
  mapped.cause = error;
  return mapped;
}

function isPassing(error: Error): boolean {
  if (error instanceof DeadlineError || LOST_NAMES.has(error.name) || 'syscall' in error) return true;
  return PASSING_REPLY.test(error.message) || LOST_CONNECTION.test(error.message);
}
