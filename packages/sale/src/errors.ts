/** Every error a caller can see, with its HTTP status (RFC 9457 `code` member). docs/errors.md lists the same; a test compares. */
export const ERRORS = {
  sale_not_found: { status: 404, title: 'No such sale' },
  sale_not_open: { status: 425, title: 'The sale is not open yet' },
  sale_closed: { status: 410, title: 'The sale is over' },
  sold_out: { status: 409, title: 'Sold out' },
  limit_reached: { status: 409, title: 'You already have as many as one buyer may have' },
  not_eligible: { status: 403, title: 'This sale is for members only' },
  product_not_found: { status: 404, title: 'No such product' },
  purchase_not_found: { status: 404, title: 'No such purchase' },
  idempotency_key_missing: { status: 400, title: 'The Idempotency-Key header is missing' },
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key was used before with another body' },
  purchase_in_flight: { status: 409, title: 'The same purchase is being made right now' },
  unauthenticated: { status: 401, title: 'Sign in first' },
  forbidden: { status: 403, title: 'You may not do that' },
  invalid_request: { status: 400, title: 'The request is not valid' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'That method is not supported here' },
  payload_too_large: { status: 413, title: 'The request body is too large' },
  unsupported_media_type: { status: 415, title: 'Send application/json' },
  email_taken: { status: 409, title: 'An account with this e-mail exists' },
  rate_limited: { status: 429, title: 'Too many requests' },
  try_again_later: { status: 503, title: 'Try again in a moment' },
  internal_error: { status: 500, title: 'Something broke on our side' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** Members that some codes add to the problem document (RFC 9457 section 3.2). */
export interface ProblemMembers {
  /** `sale_not_open`: Unix ISO time. */
  readonly opensAt?: string;
  /** `sold_out`: units still in payment, which may come back. */
  readonly held?: number;
  /** `invalid_request`: which field, and what it should be. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  /** `rate_limited`, `try_again_later`: seconds, jittered; also sent as Retry-After. */
  readonly retryAfter?: number;
}

/** An error with a code of the list above; the HTTP layer turns it into a problem document. */
export class SaleError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly members: ProblemMembers;
  constructor(code: ErrorCode, detail: string, members: ProblemMembers = {}) {
    super(`${code}: ${detail}`);
    this.name = 'SaleError';
    this.code = code;
    this.detail = detail;
    this.members = members;
  }
  get status(): number {
    return ERRORS[this.code].status;
  }
}
