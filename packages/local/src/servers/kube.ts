/** A Kubernetes control plane on loopback: etcd, API server and controllers; with nodes, a whole cluster. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild, untilReady, type Child } from '../child.ts';
import { freePorts } from '../ports.ts';
import { kubeServes } from '../probe.ts';
import { ensureKube } from './kube-build.ts';
import { addNodes } from './kube-nodes.ts';
import type { RunningServer, ServerOptions } from './server.ts';

/** Under a full load of the machine the API server takes many times its usual 5 s. */
const READY_MS = 120_000;
const STOP_MS = 20_000;
/** Without nodes: namespaces end, owned objects go, workloads get pods. */
const CONTROLLERS = [
  'namespace-controller',
  'garbage-collector-controller',
  'serviceaccount-controller',
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
];
const USERS = ['admin', 'restricted'] as const;

export interface KubeOptions extends ServerOptions {
  /**
   * How many nodes KWOK plays; none by default. Where there are any, every controller runs, and pods are scheduled and
   * become Ready, though they run nothing. Without nodes, pods stay Pending until somebody makes them Ready by hand.
   */
  readonly nodes?: number;
}

export interface KubeServer extends RunningServer {
  /** Path of its kubeconfig: contexts `admin` (system:masters, current) and `restricted` (no rights but everybody's). */
  readonly kubeconfig: string;
}

type Tokens = Record<(typeof USERS)[number], string>;

/** Starts the control plane; `port` is the API server's (HTTPS). The same folder and port again: the same cluster. */
export async function startKube(options: KubeOptions): Promise<KubeServer> {
  const program = await ensureKube();
  const { dataDir, port, nodes = 0 } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const tokens = await secrets(dataDir);
  const kubeconfig = join(dataDir, 'kubeconfig');
  const [client = 0, peer = 0] = await freePorts(2);
  const children: Child[] = [];
  const launch = async (name: string, command: readonly string[], listens?: number): Promise<Child> => {
    const child = await startChild({
      name,
      command,
      ...(listens === undefined ? {} : { port: listens }),
      logFile: join(dataDir, `${name}.log`),
      pidFile: join(dataDir, `${name}.pid`),
      // A test's cluster is thrown away: nothing is worth an orderly end.
      stopSignal: options.durable === false ? 'SIGKILL' : 'SIGTERM',
      stopMs: STOP_MS,
    });
    children.unshift(child);
    return child;
  };
  // In the order of their start backwards: the API server writes to etcd until it has ended.
  const stop = async (): Promise<void> => {
    for (const child of children) await child.stop();
  };
  try {
    await launch('etcd', [program, ...etcd(dataDir, client, peer, options.durable ?? true)], client);
    const apiserver = await launch('apiserver', [program, ...apiServer(dataDir, port, client)], port);
    await untilReady(apiserver, READY_MS, () => kubeServes(port, tokens.admin));
    await writeFile(kubeconfig, await config(dataDir, port, tokens), { mode: 0o600 });
    const controllers = nodes > 0 ? ['*'] : CONTROLLERS;
    await launch('controllers', [program, ...controllerManager(dataDir, kubeconfig, controllers)]);
    if (nodes > 0) await addNodes(nodes, kubeconfig, launch);
    return {
      url: `https://127.0.0.1:${port}`,
      port,
      pid: apiserver.pid,
      kubeconfig,
      exited: Promise.race(children.map(({ exited, name }) => exited.then((reason) => `${name}: ${reason}`))),
      stop,
      kill: async () => {
        await Promise.all(children.map((child) => child.kill()));
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function etcd(dataDir: string, client: number, peer: number, durable: boolean): string[] {
  const clients = `http://127.0.0.1:${client}`;
  const peers = `http://127.0.0.1:${peer}`;
  return [
    'etcd',
    '--name=one',
    `--data-dir=${join(dataDir, 'etcd')}`,
    `--listen-client-urls=${clients}`,
    `--advertise-client-urls=${clients}`,
    `--listen-peer-urls=${peers}`,
    // New ports at every start do no harm: a folder with data knows its cluster. `--force-new-cluster` would drop writes
    // that were acknowledged just before a kill.
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=one=${peers}`,
    '--log-level=warn',
    ...(durable ? [] : ['--unsafe-no-fsync']),
  ];
}

function apiServer(dataDir: string, port: number, etcdPort: number): string[] {
  return [
    'kube-apiserver',
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    // Without a certificate of ours it makes itself one here.
    `--cert-dir=${join(dataDir, 'certs')}`,
    `--token-auth-file=${join(dataDir, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${join(dataDir, 'accounts.pub')}`,
    `--service-account-signing-key-file=${join(dataDir, 'accounts.key')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--endpoint-reconciler-type=none',
    '--profiling=false',
  ];
}

function controllerManager(dataDir: string, kubeconfig: string, controllers: readonly string[]): string[] {
  return [
    'kube-controller-manager',
    `--kubeconfig=${kubeconfig}`,
    `--service-account-private-key-file=${join(dataDir, 'accounts.key')}`,
    `--controllers=${controllers.join(',')}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--profiling=false',
    // By default it may ask 20 times a second: tests make and remove namespaces quicker than that.
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ];
}

/** The tokens of the users and the key that signs those of service accounts; made once in a folder. */
async function secrets(dataDir: string): Promise<Tokens> {
  const file = join(dataDir, 'tokens.json');
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as Tokens;
  const token = (): string => randomBytes(24).toString('hex');
  const tokens: Tokens = { admin: token(), restricted: token() };
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const secret = { mode: 0o600 };
  await writeFile(join(dataDir, 'accounts.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), secret);
  await writeFile(join(dataDir, 'accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const rows = [`${tokens.admin},admin,admin,system:masters`, `${tokens.restricted},restricted,restricted`];
  await writeFile(join(dataDir, 'tokens.csv'), `${rows.join('\n')}\n`, secret);
  await writeFile(file, JSON.stringify(tokens), secret);
  return tokens;
}

/** As JSON, which YAML includes. The server's own certificate is all that its clients trust. */
async function config(dataDir: string, port: number, tokens: Tokens): Promise<string> {
  const certificate = await readFile(join(dataDir, 'certs/apiserver.crt'));
  const cluster = { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': certificate.toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'admin',
    clusters: [{ name: 'local', cluster }],
    users: USERS.map((name) => ({ name, user: { token: tokens[name] } })),
    contexts: USERS.map((name) => ({ name, context: { cluster: 'local', user: name } })),
  });
}
