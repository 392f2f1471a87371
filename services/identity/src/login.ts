/** The login step of an authorization request: shows the form, checks it, and sends the browser back to the provider. */
import type { IncomingMessage } from 'node:http';
import { Router, parseInput, type RequestHandler, type Response } from '@flashsale/platform/http';
import { SaleError } from '@flashsale/sale';
import { errors, type Provider } from 'oidc-provider';
import type { Account, Accounts } from './accounts.ts';
import { MIN_PASSWORD, credentials } from './credentials.ts';
import { loginPage, messagePage, pagePolicy } from './pages.ts';

/** A form with an e-mail and a password is far below this. */
const MAX_FORM_BYTES = 4096;

export interface LoginOptions {
  readonly provider: Provider;
  readonly accounts: Accounts;
  /** Path of the provider, in front of `/interaction/...`. */
  readonly mount: string;
  readonly redirectUris: readonly string[];
}

/** Answers `GET` and `POST /interaction/:uid` below the provider's path. */
export function loginRoutes(options: LoginOptions): Router {
  const router = Router();
  const policy = pagePolicy([...new Set(options.redirectUris.map((uri) => new URL(uri).origin))]);
  const show = (res: Response, status: number, html: string): void => {
    res.status(status).set({ 'Content-Security-Policy': policy, 'Cache-Control': 'no-store' }).type('html').send(html);
  };
  const form = (uid: string, email?: string, problem?: string): string =>
    loginPage({
      action: `${options.mount}/interaction/${uid}`,
      minPassword: MIN_PASSWORD,
      ...(email !== undefined && { email }),
      ...(problem !== undefined && { problem }),
    });

  const get: RequestHandler = async (req, res) => {
    const { uid, params } = await options.provider.interactionDetails(req, res);
    const hint = params['login_hint'];
    show(res, 200, form(uid, typeof hint === 'string' ? hint : undefined));
  };
  const post: RequestHandler = async (req, res) => {
    // The interaction's cookie is SameSite=Lax: a form on another site is sent without it and fails here.
    const { uid } = await options.provider.interactionDetails(req, res);
    const fields = await readForm(req);
    const outcome = await signIn(options.accounts, fields);
    if ('problem' in outcome) {
      show(res, outcome.status, form(uid, fields.get('email') ?? '', outcome.problem));
      return;
    }
    const result = { login: { accountId: outcome.account.id } };
    await options.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  };
  router.get('/interaction/:uid', expiring(get, show));
  router.post('/interaction/:uid', expiring(post, show));
  return router;
}

type Outcome = { readonly account: Account } | { readonly status: number; readonly problem: string };

async function signIn(accounts: Accounts, fields: URLSearchParams): Promise<Outcome> {
  try {
    const { email, password } = parseInput(credentials, Object.fromEntries(fields));
    const account =
      fields.get('act') === 'register'
        ? await accounts.register(email, password)
        : await accounts.authenticate(email, password);
    return account ? { account } : { status: 401, problem: 'E-mail address and password do not belong together.' };
  } catch (error) {
    if (!(error instanceof SaleError)) throw error;
    const fieldErrors = error.members.errors?.map(({ field, message }) => `${field}: ${message}`);
    return { status: error.status, problem: fieldErrors?.join('; ') ?? error.detail };
  }
}

/** An interaction that is over, or was begun in another browser, is no fault of ours: say what to do. */
function expiring(
  handler: RequestHandler,
  show: (res: Response, status: number, html: string) => void,
): RequestHandler {
  return async (req, res, next) => {
    try {
      await handler(req, res, next);
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
      show(
        res,
        400,
        messagePage('This sign-in is over', 'It took too long, or was begun elsewhere. Please try again.'),
      );
    }
  };
}

async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  let text = '';
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_FORM_BYTES) throw new SaleError('payload_too_large', `Send at most ${MAX_FORM_BYTES} bytes.`);
    text += chunk.toString('latin1');
  }
  return new URLSearchParams(Buffer.from(text, 'latin1').toString('utf8'));
}
