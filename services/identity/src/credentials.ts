/** E-mail and password as they come from a form or a request: one schema for both. */
import { z } from '@flashsale/platform/config';

export const MIN_PASSWORD = 8;

export const credentials = z.object({
  // 254 is the longest address that fits an SMTP path (RFC 5321, erratum 1690).
  email: z.email('an e-mail address').max(254, 'at most 254 characters'),
  password: z
    .string('a password')
    .min(MIN_PASSWORD, `at least ${MIN_PASSWORD} characters`)
    // A bound, so that nobody makes us hash a book.
    .max(128, 'at most 128 characters'),
});
export type Credentials = z.infer<typeof credentials>;
