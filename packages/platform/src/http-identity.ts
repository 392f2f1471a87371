/** Who is calling: the bearer token of a request, verified. */
import { SaleError } from '@flashsale/sale';
import type { RequestHandler, Response } from 'express';
import { bearerToken, type Identity, type TokenVerifier } from './oidc.ts';

/** Lets only signed-in callers through, and with `role` only those who have it (`forbidden`). */
export function requireIdentity(verifier: TokenVerifier, role?: string): RequestHandler {
  return (req, res, next) => {
    const admit = (identity: Identity): void => {
      if (role !== undefined && !identity.roles.includes(role)) {
        throw new SaleError('forbidden', `This needs the role ${role}.`);
      }
      res.locals['identity'] = identity;
      next();
    };
    const identity = verifier.verify(bearerToken(req.headers.authorization));
    // A remembered token is answered at once; Express takes the promise of any other, errors included.
    if (identity instanceof Promise) return identity.then(admit);
    admit(identity);
    return undefined;
  };
}

/** The caller that `requireIdentity` let through. Throws where the route lacks it: a bug, not a caller's error. */
export function identityOf(res: Response): Identity {
  const identity = res.locals['identity'] as Identity | undefined;
  if (!identity) throw new Error('identityOf() on a route without requireIdentity()');
  return identity;
}
