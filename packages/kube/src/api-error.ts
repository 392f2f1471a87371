/** Answers of the API server that are no success, in the terms of its Status object. */

/** `metav1.Status`, as far as it is used. */
export interface Status {
  readonly kind?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** The server refused or failed. `code` is the HTTP status, or that of an ERROR event in a watch. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  /** How long the server asks to wait, ms; 0 where it does not ask. */
  readonly retryAfterMs: number;

  constructor(what: string, status: Status, retryAfterMs = 0) {
    const code = status.code ?? 500;
    super(`${what}: ${code} ${status.reason ?? ''} ${status.message ?? ''}`.trim());
    this.code = code;
    this.reason = status.reason ?? '';
    this.retryAfterMs = Math.max(retryAfterMs, (status.details?.retryAfterSeconds ?? 0) * 1000);
  }
}

const hasCode =
  (code: number) =>
  (error: unknown): error is ApiError =>
    error instanceof ApiError && error.code === code;

export const isNotFound = hasCode(404);
/** Somebody else changed the object since it was read, or it exists already. */
export const isConflict = hasCode(409);
/** The resource version, or the continue token, is older than what the server remembers: list anew. */
export const isExpired = hasCode(410);

/** What the server asks to wait, ms; 0 for any other error. */
export function retryAfterOf(error: unknown): number {
  return error instanceof ApiError ? error.retryAfterMs : 0;
}

/** Seconds, or an HTTP date (RFC 9110, 10.2.3), as ms from `now`; 0 where absent or not understood. */
export function parseRetryAfter(value: string | undefined, now: Date): number {
  if (value === undefined || value === '') return 0;
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(value) - now.getTime() : seconds * 1000;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
