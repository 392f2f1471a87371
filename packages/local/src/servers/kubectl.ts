/** kubectl, of the same binary as the control plane. */
import { dirname, join } from 'node:path';
import { runProgram } from './install.ts';
import { ensureKube } from './kube-build.ts';

const CALL_MS = 180_000;

/** Runs kubectl on the cluster of a kubeconfig and returns what it wrote. Throws with that where it fails. */
export async function kubectl(kubeconfig: string, ...args: readonly string[]): Promise<string> {
  const folder = dirname(kubeconfig);
  // What it learns of a server stays with that server.
  const where = [`--kubeconfig=${kubeconfig}`, `--cache-dir=${join(folder, 'kubectl')}`];
  return runProgram(await ensureKube(), ['kubectl', ...where, ...args], { cwd: folder, timeoutMs: CALL_MS });
}
