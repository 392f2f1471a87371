/** The clock of the API server, as its answers tell it. */
import { request as plain } from 'node:http';
import { request as secure, type RequestOptions } from 'node:https';
import type { ClusterAccess } from '@flashsale/kube/transport';

const DEADLINE_MS = 5_000;
/** The header has whole seconds, rounded down. */
const HALF_A_SECOND_MS = 500;

/** The Date header of an answer (RFC 9110, 6.6.1), Unix ms, half a second off at most. Any answer has one. */
export async function serverTime(config: ClusterAccess): Promise<number> {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error('the kubeconfig has no current cluster');
  const options: RequestOptions & { headers: Record<string, string> } = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const url = new URL('/version', cluster.server);
  const request = url.protocol === 'http:' ? plain : secure;
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...options, agent: false, timeout: DEADLINE_MS }, (answer) => {
      answer.resume();
      const at = Date.parse(answer.headers.date ?? '');
      if (Number.isNaN(at)) reject(new Error('the answer of the API server has no date'));
      else resolve(at + HALF_A_SECOND_MS);
    });
    sent.on('timeout', () => sent.destroy(new Error(`the API server did not tell the time in ${DEADLINE_MS} ms`)));
    sent.on('error', reject);
    sent.end();
  });
}
