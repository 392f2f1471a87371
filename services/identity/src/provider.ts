/** The OpenID provider: authorization code with PKCE for the storefront, JWT access tokens for the sale's API. */
import { Provider, errors, interactionPolicy, type Account as OidcAccount, type Configuration } from 'oidc-provider';
import type { Account, Accounts } from './accounts.ts';
import type { PrismaClient } from './generated/prisma/client.ts';
import { messagePage, pagePolicy } from './pages.ts';
import { recordAdapter } from './records.ts';
import type { Secrets } from './secrets.ts';

export const CLIENT_ID = 'storefront';
/** The API as a resource indicator (RFC 8707 wants an absolute URI); its tokens' audience is OIDC_AUDIENCE. */
export const API_RESOURCE = 'urn:flashsale:api';
const SCOPES = 'openid email offline_access';
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export interface ProviderOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly redirectUris: readonly string[];
  readonly accounts: Accounts;
  readonly database: PrismaClient;
  readonly secrets: Secrets;
}

/** The issuer's path, without a slash at its end: where the provider is mounted. */
export const mountPath = (issuer: string): string => new URL(issuer).pathname.replace(/\/$/, '');

export function createProvider(options: ProviderOptions): Provider {
  const provider = new Provider(options.issuer, { ...configuration(options), ...tokenRules(options) });
  // The edge stands in front and sets X-Forwarded-Host and -Proto.
  provider.proxy = true;
  return provider;
}

function configuration(options: ProviderOptions): Configuration {
  const { secrets, accounts } = options;
  const policy = interactionPolicy.base();
  // The only client is our own page: there is nothing to consent to.
  policy.remove('consent');
  return {
    adapter: recordAdapter(options.database),
    clients: [
      {
        client_id: CLIENT_ID,
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: [...options.redirectUris],
        post_logout_redirect_uris: [...new Set(options.redirectUris.map((uri) => `${new URL(uri).origin}/`))],
      },
    ],
    jwks: { keys: [{ ...secrets.signing.jwk }] },
    cookies: { keys: [...secrets.cookieKeys] },
    scopes: SCOPES.split(' '),
    claims: { openid: ['sub'], email: ['email'] },
    pkce: { required: () => true },
    interactions: {
      policy,
      url: (_ctx, interaction) => `${mountPath(options.issuer)}/interaction/${interaction.uid}`,
    },
    renderError(ctx, out) {
      ctx.type = 'html';
      ctx.set('Content-Security-Policy', pagePolicy([]));
      ctx.body = messagePage('This did not work', out.error_description ?? out.error);
    },
    async findAccount(_ctx, id) {
      const account = await accounts.find(id);
      return account && toOidcAccount(account);
    },
  };
}

function tokenRules(options: ProviderOptions): Configuration {
  return {
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => API_RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, indicator) => {
          if (indicator !== API_RESOURCE) throw new errors.InvalidTarget();
          return {
            scope: '',
            audience: options.audience,
            accessTokenFormat: 'jwt',
            accessTokenTTL: HOUR,
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
    async extraTokenClaims(_ctx, token) {
      const account =
        'accountId' in token && token.accountId ? await options.accounts.find(token.accountId) : undefined;
      return account && { num: account.number, roles: [...account.roles] };
    },
    /** Our own page first: its grant is given without asking. */
    async loadExistingGrant({ oidc }) {
      const { session, client, provider } = oidc;
      if (!client || !session?.accountId) return undefined;
      const known = session.grantIdFor(client.clientId);
      const existing = known === undefined ? undefined : await provider.Grant.find(known);
      if (existing) return existing;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(SCOPES);
      await grant.save();
      return grant;
    },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AuthorizationCode: MINUTE,
      AccessToken: HOUR,
      IdToken: HOUR,
      RefreshToken: 14 * DAY,
      Interaction: HOUR,
      Session: 14 * DAY,
      Grant: 14 * DAY,
    },
  };
}

function toOidcAccount(account: Account): OidcAccount {
  return { accountId: account.id, claims: () => ({ sub: account.id, email: account.email }) };
}
