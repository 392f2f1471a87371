/**
 * The plain ways into a cluster, read without the official client, which takes tens of megabytes: a kubeconfig with
 * certificates or a token, and the service account of a pod. Everything else (exec plugins, providers, proxies) is its.
 */
import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { Agent } from 'undici';
import { parse } from 'yaml';
import type { ClusterAccess, PoolContext } from './transport.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Tokens of a pod are replaced in their file long before they end. */
const TOKEN_MS = 60_000;

type Env = Readonly<Record<string, string | undefined>>;

/** From KUBECONFIG, ~/.kube/config, or the service account of the pod, as the official client does. Throws where none is. */
export async function loadAccess(env: Env = process.env): Promise<ClusterAccess> {
  const plain = plainAccess(env);
  if (plain) return plain;
  const { loadKubeConfig } = await import('./client.ts');
  return loadKubeConfig();
}

/** Undefined where it takes more than is read here. Throws where a file that is named cannot be read. */
export function plainAccess(env: Env, serviceAccount = SERVICE_ACCOUNT): ClusterAccess | undefined {
  if (PROXIES.some((name) => env[name] || env[name.toLowerCase()])) return undefined;
  const { KUBECONFIG: file, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (file) return file.includes(':') ? undefined : fromFile(file);
  if (!host) return undefined;
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const tls = { ca: readFileSync(`${serviceAccount}/ca.crt`) };
  return new PlainAccess(server, tls, tokenIn(`${serviceAccount}/token`));
}

const PROXIES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'];

type Fields = Readonly<Record<string, unknown>>;
interface Named {
  readonly name: string;
  readonly cluster?: Fields;
  readonly user?: Fields;
  readonly context?: { readonly cluster: string; readonly user: string };
}
interface Tls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}
type Token = () => string | undefined;

const SERVER_NAME = 'tls-server-name';
const INSECURE = 'insecure-skip-tls-verify';
const CLUSTER = ['server', 'certificate-authority', 'certificate-authority-data', INSECURE, SERVER_NAME];
const USER = ['client-certificate', 'client-certificate-data', 'client-key', 'client-key-data', 'token', 'tokenFile'];

/** The current context of a kubeconfig (kubernetes.io/docs/reference/config-api/kubeconfig.v1). */
function fromFile(path: string): ClusterAccess | undefined {
  const config = parse(readFileSync(path, 'utf8')) as Fields;
  const context = named(config, 'contexts', config['current-context'])?.context;
  const cluster = named(config, 'clusters', context?.cluster)?.cluster;
  const user = named(config, 'users', context?.user)?.user;
  return cluster && user && fromFields(cluster, user, dirname(path));
}

function fromFields(cluster: Fields, user: Fields, folder: string): ClusterAccess | undefined {
  if (hasMore(cluster, CLUSTER) || hasMore(user, USER)) return undefined;
  return new PlainAccess(word(cluster, 'server') ?? '', tlsOf(cluster, user, folder), tokenOf(user, folder));
}

function named(config: Fields, list: string, name: unknown): Named | undefined {
  return ((config[list] ?? []) as readonly Named[]).find((one) => one.name === name);
}

function word(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function tlsOf(cluster: Fields, user: Fields, folder: string): Tls {
  const content = (fields: Fields, key: string): Buffer | undefined => {
    const [data, file] = [word(fields, `${key}-data`), word(fields, key)];
    if (data !== undefined) return Buffer.from(data, 'base64');
    return file === undefined ? undefined : readFileSync(resolve(folder, file));
  };
  const options = {
    ca: content(cluster, 'certificate-authority'),
    cert: content(user, 'client-certificate'),
    key: content(user, 'client-key'),
    servername: word(cluster, SERVER_NAME),
    rejectUnauthorized: cluster[INSECURE] === true ? false : undefined,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function tokenOf(user: Fields, folder: string): Token {
  const file = word(user, 'tokenFile');
  // A file is preferred to a token, as by kubectl.
  return file === undefined ? () => word(user, 'token') : tokenIn(resolve(folder, file));
}

const hasMore = (fields: Fields, known: readonly string[]): boolean =>
  Object.entries(fields).some(([key, value]) => !known.includes(key) && value !== null && value !== undefined);

/** Read again once a minute. */
function tokenIn(file: string): Token {
  let token = '';
  let readAt = -Infinity;
  return () => {
    if (performance.now() - readAt > TOKEN_MS) {
      token = readFileSync(file, 'utf8').trim();
      readAt = performance.now();
    }
    return token;
  };
}

class PlainAccess implements ClusterAccess {
  readonly #server: string;
  readonly #tls: Tls;
  readonly #token: Token;

  constructor(server: string, tls: Tls, token: Token) {
    this.#server = server;
    this.#tls = tls;
    this.#token = token;
  }

  getCurrentCluster(): { readonly server: string } {
    return { server: this.#server };
  }

  applyToHTTPSOptions(options: RequestOptions): Promise<void> {
    const token = this.#token();
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    Object.assign(options, this.#tls);
    options.headers = Object.assign(options.headers ?? {}, headers);
    return Promise.resolve();
  }

  applySecurityAuthentication(context: PoolContext): Promise<void> {
    context.setDispatcher(new Agent({ connect: this.#tls }));
    return Promise.resolve();
  }
}
