/** The pages and their files, read once and answered from memory. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Router, type RequestHandler, type Response } from '@flashsale/platform/http';
import { SaleError } from '@flashsale/sale';

const FOLDER = fileURLToPath(new URL('../public', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing from elsewhere, nothing inline; `connect-src 'self'` covers the WebSocket of the same origin. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

/** The headers of every page. */
export function secure(res: Response): void {
  res.set({
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
  });
}

/** `/`, `/sales/{sale}` and `/assets/…`. */
export function pageRoutes(): Router {
  const files = new Map(readdirSync(FOLDER).map((name) => [name, fileOf(name)]));
  const router = Router();
  const page = (name: string): RequestHandler => {
    const file = files.get(name);
    if (!file) throw new Error(`there is no public/${name}`);
    return (req, res) => send(file, req.headers['if-none-match'], res);
  };
  router.get('/', page('index.html'));
  router.get('/sales/:sale', page('sale.html'));
  router.get('/assets/:file', (req, res) => {
    const file = files.get(req.params.file);
    if (!file) throw new SaleError('not_found', 'Nothing is served at this path.');
    send(file, req.headers['if-none-match'], res);
  });
  return router;
}

interface File {
  readonly body: Buffer;
  readonly type: string;
  readonly tag: string;
}

function fileOf(name: string): File {
  const body = readFileSync(join(FOLDER, name));
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { body, tag, type: TYPES[extname(name)] ?? 'application/octet-stream' };
}

/** Always asked again, hardly ever sent again. */
function send(file: File, known: string | undefined, res: Response): void {
  secure(res);
  res.set({ ETag: file.tag, 'Cache-Control': 'no-cache' });
  if (known === file.tag) res.status(304).end();
  else res.set('Content-Type', file.type).end(file.body);
}
