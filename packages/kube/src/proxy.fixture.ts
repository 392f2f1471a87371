/** An HTTP proxy in front of the API server that does what networks and busy servers do. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

export type Fault =
  /** The connection breaks before an answer. */
  | { readonly do: 'reset' }
  /** Nothing ever comes, and the connection stays open. */
  | { readonly do: 'hang' }
  | {
      readonly do: 'answer';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** The real answer to another path. */
  | { readonly do: 'ask'; readonly path: string }
  /** The real answer in pieces of a few bytes. */
  | { readonly do: 'split' };

export interface Proxy {
  readonly config: KubeConfig;
  /** Decides for each request, `GET /api/v1/…?watch=true`; undefined lets it through. */
  fault: (request: string) => Fault | undefined;
  /** All requests so far, in order, with the time they came (ms). */
  readonly seen: { readonly request: string; readonly at: number }[];
  /** Connections accepted so far. */
  connections(): number;
  /** Breaks all connections. */
  reset(): void;
  /** From now on nothing more comes through the open answers, but their connections stay open. */
  freeze(): void;
  close(): Promise<void>;
}

/** A proxy to the server of `kubeconfig` (its path), and a configuration that leads through it. */
export async function startProxy(kubeconfig: string): Promise<Proxy> {
  const real = new KubeConfig();
  real.loadFromFile(kubeconfig);
  const cluster = real.getCurrentCluster();
  const user = real.getCurrentUser();
  if (!cluster || !user) throw new Error('the kubeconfig has no current context');
  const target = new URL(cluster.server);
  const agent = new Agent({ ca: Buffer.from(cluster.caData ?? '', 'base64'), keepAlive: true });
  const open = new Set<ServerResponse>();
  let accepted = 0;
  const forward = (from: IncomingMessage, to: ServerResponse, fault: Fault | undefined): void => {
    const path = fault?.do === 'ask' ? fault.path : from.url;
    const options = {
      host: target.hostname,
      port: target.port,
      method: from.method,
      path,
      headers: from.headers,
      agent,
    };
    const upstream = request(options, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      to.flushHeaders();
      answer.on('data', (chunk: Buffer) => {
        if (!open.has(to)) return;
        for (const piece of fault?.do === 'split' ? pieces(chunk) : [chunk]) to.write(piece);
      });
      answer.once('end', () => open.has(to) && to.end());
      answer.once('error', () => to.destroy());
    });
    upstream.once('error', () => to.destroy());
    to.once('close', () => upstream.destroy());
    from.pipe(upstream);
  };
  const server = createServer((from, to) => {
    const asked = `${from.method ?? ''} ${from.url ?? ''}`;
    proxy.seen.push({ request: asked, at: performance.now() });
    const fault = proxy.fault(asked);
    open.add(to);
    to.once('close', () => open.delete(to));
    if (fault?.do === 'hang') return;
    if (fault?.do === 'reset') from.socket.destroy();
    else if (fault?.do === 'answer') {
      to.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      to.end(fault.body ?? JSON.stringify({ kind: 'Status', code: fault.status }));
    } else forward(from, to, fault);
  });
  server.on('connection', () => (accepted += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const config = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  // The client refuses plain HTTP without this.
  config.loadFromClusterAndUser({ name: 'proxy', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }, user);
  const proxy: Proxy = {
    config,
    fault: () => undefined,
    seen: [],
    connections: () => accepted,
    reset: () => server.closeAllConnections(),
    freeze: () => open.clear(),
    close: async () => {
      server.closeAllConnections();
      server.close();
      agent.destroy();
      await once(server, 'close');
    },
  };
  return proxy;
}

function* pieces(chunk: Buffer): Iterable<Buffer> {
  for (let from = 0; from < chunk.length; from += 7) yield chunk.subarray(from, from + 7);
}
