/** Answers with a page, or with 304 where the caller has it already. */
import { hash } from 'node:crypto';
import type { Request, Response } from '@flashsale/platform/http';
import type { PageContent } from '@flashsale/sale';

/** Browsers and proxies ask again after this, and may show what they have while they do. */
const CACHE_CONTROL = 'public, max-age=5, stale-while-revalidate=30';

export function sendPage(req: Request, res: Response, { body }: Pick<PageContent, 'body'>): void {
  const etag = `"${hash('sha1', body, 'base64url')}"`;
  res.setHeader('ETag', etag);
  res.setHeader('Cache-Control', CACHE_CONTROL);
  if (isKnown(req.headers['if-none-match'], etag)) {
    res.status(304).end();
    return;
  }
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.end(body);
}

/** RFC 9110 section 13.1.2: a list, or "*"; compared weakly, since a proxy may have weakened ours. */
function isKnown(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim()));
}
