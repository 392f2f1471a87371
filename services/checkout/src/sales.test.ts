/** Who looks at a sale with a token: it is verified (and so remembered) ahead of the purchase, and a bad one hides nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTokenVerifier } from '@flashsale/platform/oidc';
import { greet } from './sales.ts';
import { startTestIssuer } from './test-issuer.ts';

test('a token that was shown on the sale’s page is known when it buys', async (t) => {
  const issuer = await startTestIssuer();
  t.after(() => issuer.stop());
  const real = createTokenVerifier({ issuer: issuer.issuer, audience: issuer.audience });
  const token = await issuer.token(7);
  const verified: unknown[] = [];
  await greet(
    { verify: async (shown) => (verified.push(await real.verify(shown)), real.verify(shown)) },
    `Bearer ${token}`,
  );
  // What is remembered is the same object; verified anew it would be another.
  assert.equal(verified.length, 1);
  assert.equal(real.verify(token), verified[0]);
});

test('a token that is not valid is no reason to refuse the page', async (t) => {
  const issuer = await startTestIssuer();
  t.after(() => issuer.stop());
  const verifier = createTokenVerifier({ issuer: issuer.issuer, audience: issuer.audience });
  for (const header of ['Basic YTpi', 'Bearer not-a-token', 'Bearer ']) {
    await assert.doesNotReject(greet(verifier, header), header);
  }
});
