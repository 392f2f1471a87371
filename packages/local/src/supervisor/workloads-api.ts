/** The supervisor's HTTP API: how many replicas run, and how many should. Loopback only, for the operator. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Workload } from './workload.ts';

const MOST_BODY = 1024;

export interface WorkloadsApi {
  readonly port: number;
  close(): Promise<void>;
}

/** `workloads` by `Kind/name`. */
export async function serveWorkloads(port: number, workloads: ReadonlyMap<string, Workload>): Promise<WorkloadsApi> {
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    answer(workloads, request, response).catch((error: unknown) => {
      const bad = error instanceof RangeError || error instanceof SyntaxError;
      reply(response, bad ? 400 : 500, { message: error instanceof Error ? error.message : 'failed' });
    });
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen({ host: '127.0.0.1', port }, done);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  workloads: ReadonlyMap<string, Workload>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, kind, name] = /^\/workloads\/([^/]+)\/([^/]+)$/.exec(request.url ?? '') ?? [];
  const workload = workloads.get(`${kind ?? ''}/${name ?? ''}`);
  if (workload === undefined) {
    reply(response, 404, { message: 'there is no such workload' });
  } else if (request.method === 'GET') {
    reply(response, 200, await workload.status());
  } else if (request.method === 'PUT') {
    workload.scale(replicasOf(await bodyOf(request)));
    response.writeHead(204).end();
  } else {
    reply(response, 405, { message: 'use GET or PUT' });
  }
}

function replicasOf(body: string): number {
  const value: unknown = JSON.parse(body);
  if (typeof value === 'object' && value !== null && 'replicas' in value && typeof value.replicas === 'number') {
    return value.replicas;
  }
  throw new RangeError('send {"replicas": N}');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    body += chunk.toString();
    if (body.length > MOST_BODY) throw new RangeError('the body is too long');
  }
  return body;
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
