/** The HTTP routes of the live service: one-time tickets for its WebSocket. */
import { createApp, finishApp, type Express } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import { bearerToken, type TokenVerifier } from '@flashsale/platform/oidc';

/** Seconds a ticket may wait to be used; createTickets keeps it so long. */
const TICKET_SECONDS = 30;

export interface LiveAppOptions {
  readonly log: Logger;
  readonly verifier: TokenVerifier;
  readonly issue: (subject: { buyer?: string }) => Promise<string>;
}

/**
 * `POST /api/v1/live/tickets`: with a bearer token a ticket of its buyer, without one an anonymous ticket that hears
 * only stock and phase. A browser cannot send headers with a WebSocket, and a token in a URL would end up in logs.
 */
export function createLiveApp({ log, verifier, issue }: LiveAppOptions): Express {
  const app = createApp(log);
  app.post('/api/v1/live/tickets', async (req, res) => {
    const { authorization } = req.headers;
    const identity = authorization === undefined ? undefined : await verifier.verify(bearerToken(authorization));
    const ticket = await issue(identity ? { buyer: identity.buyer.id } : {});
    res.status(201).set('Cache-Control', 'no-store').json({ ticket, expiresInSeconds: TICKET_SECONDS });
  });
  finishApp(app, log);
  return app;
}
