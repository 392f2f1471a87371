/** The admin server of a process: `/livez`, `/readyz` with the readiness of each part, `/metrics`. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { register } from 'prom-client';

/** The readiness of each part by name. */
export type Readiness = () => { ready: boolean; parts: Record<string, boolean> };

/** Listens on `host:port` (0 picks a free port). Rejects where the port is taken. */
export async function startAdmin(host: string, port: number, readiness: Readiness): Promise<Server> {
  const server = createServer((req, res) => {
    const state = req.url === '/readyz' ? readiness() : undefined;
    if (state) send(res, state.ready ? 200 : 503, 'application/json', JSON.stringify(state));
    else if (req.url === '/livez') send(res, 200, 'text/plain', 'ok\n');
    else if (req.url === '/metrics') void sendMetrics(res);
    else send(res, 404, 'text/plain', 'see /livez, /readyz, /metrics\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/** The port a listening server really has. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function send(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

async function sendMetrics(res: ServerResponse): Promise<void> {
  try {
    send(res, 200, register.contentType, await register.metrics());
  } catch (error) {
    send(res, 500, 'text/plain', `a metric failed: ${String(error)}\n`);
  }
}
