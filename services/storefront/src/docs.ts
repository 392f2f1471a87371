/** `GET /api/v1/openapi.json` and `GET /api/v1/docs`: the same document for machines and for people. */
import { Router } from '@flashsale/platform/http';
import { openapi, type Operation } from './openapi.ts';
import { secure } from './pages.ts';

export function docsRoutes(): Router {
  const json = JSON.stringify(openapi);
  const html = docsPage();
  const router = Router();
  router.get('/api/v1/openapi.json', (_req, res) => {
    res.set({ 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' }).end(json);
  });
  router.get('/api/v1/docs', (_req, res) => {
    secure(res);
    res.set({ 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-cache' }).end(html);
  });
  return router;
}

function docsPage(): string {
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(method.toUpperCase(), path, operation)),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · Flashsale</title><link rel="icon" href="/assets/icon.svg"><link rel="stylesheet" href="/assets/style.css"></head>
<body><header><a href="/">Flashsale</a></header><main><h1>${escape(openapi.info.title)}</h1>
<p>${escape(openapi.info.description)} For machines: <a href="/api/v1/openapi.json">openapi.json</a>.</p>
${operations.join('\n')}</main></body></html>
`;
}

function section(method: string, path: string, operation: Operation): string {
  const answers = Object.entries(operation.responses).map(
    ([status, { description }]) => `<tr><th scope="row">${status}</th><td>${prose(description)}</td></tr>`,
  );
  const parameters = (operation.parameters ?? []).map(
    ({ name, in: place, description }) =>
      `<tr><th scope="row"><code>${escape(name)}</code> <span class="quiet">${place}</span></th><td>${prose(description)}</td></tr>`,
  );
  const token = operation.security ? `<p class="quiet">${tokenText(operation.security)}</p>` : '';
  return `<section class="card"><h2><code>${method} ${escape(path)}</code></h2><p>${prose(operation.summary)}</p>${token}
${table('Parameters', parameters)}${table('Answers', answers)}</section>`;
}

/** An empty requirement among the alternatives means: also without (OpenAPI 3.1, Operation Object). */
function tokenText(alternatives: readonly object[]): string {
  const optional = alternatives.some((alternative) => Object.keys(alternative).length === 0);
  return optional ? 'With or without an access token.' : 'With an access token.';
}

function table(caption: string, rows: readonly string[]): string {
  return rows.length === 0 ? '' : `<table><caption>${caption}</caption><tbody>${rows.join('')}</tbody></table>`;
}

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
/** Descriptions mark code by backticks (CommonMark, as OpenAPI has it). */
const prose = (text: string): string => escape(text).replace(/`([^`]+)`/g, '<code>$1</code>');
