/** Which methods a path takes: Express answers a wrong method like an unknown path, HTTP wants 405 and Allow. */
import type { Express } from 'express';

/** The part of a router layer that is read here (router 2). */
interface Layer {
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> };
  readonly handle: { readonly stack?: readonly Layer[] };
  match(path: string): { readonly path: string } | undefined | false;
}

/** Methods of all routes that match `path`, sorted; empty where none does. Only asked once no route answered. */
export function allowedMethods(app: Express, path: string): string[] {
  const methods = new Set<string>();
  collect((app.router as unknown as { stack: readonly Layer[] }).stack, path, methods);
  // `_all` is how router.all() is kept: it was asked and passed the request on.
  methods.delete('_ALL');
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods].sort();
}

function collect(stack: readonly Layer[], path: string, methods: Set<string>): void {
  for (const layer of stack) {
    const match = layer.route || layer.handle.stack ? layer.match(path) : undefined;
    if (!match) continue;
    for (const method of Object.keys(layer.route?.methods ?? {})) methods.add(method.toUpperCase());
    const rest = path.slice(match.path.replace(/\/$/, '').length) || '/';
    collect(layer.handle.stack ?? [], rest, methods);
  }
}
