/** The whole platform on one machine: starts it in the order of its needs, keeps it alive, stops it in reverse. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDatabase } from '@flashsale/platform/database';
import { tryLock } from '../lock.ts';
import { isFree } from '../ports.ts';
import { note } from '../progress.ts';
import { clusterOf, type Cluster } from './cluster.ts';
import { ensureCluster } from '../servers/kube-build.ts';
import { ensureInfra, infraAddresses, infraPlans } from './infra.ts';
import { launchService } from './launch.ts';
import { endLeftovers } from './leftovers.ts';
import { addresses, DATABASES, databaseUrl, servicePlans, STOP_ORDER, type Infra, type ServicePlan } from './plan.ts';
import { UsageError } from '../usage-error.ts';
import { choosePorts, type Ports } from './ports-file.ts';
import { Report } from './report.ts';
import { removeRunning, writeRunning } from './running.ts';
import { Supervised } from './supervised.ts';
import { serveWorkloads, type WorkloadsApi } from './workloads-api.ts';
import { Workload } from './workload.ts';

export interface PlatformOptions {
  readonly dataDir: string;
  /** Port of the edge. */
  readonly port: number;
  /** With a Kubernetes control plane: FlashSales are on its API server, and its Deployments say how many processes run. */
  readonly kubernetes?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  /** Its services; the product's own where absent. */
  readonly services?: (dataDir: string, ports: Ports, infra: Infra) => readonly ServicePlan[];
  /** Databases they need; those of the product where absent. */
  readonly databases?: readonly string[];
}

interface Unit {
  start(): Promise<void>;
  stop(): Promise<void>;
}

export class Platform {
  readonly #options: PlatformOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #report = new Report();
  readonly #units = new Map<string, Unit>();
  readonly #workloads = new Map<string, Workload>();
  readonly #started = new Map<string, Promise<void>>();
  #announced = false;
  #api: WorkloadsApi | undefined;
  #pods: { stop(): Promise<void> } | undefined;
  #unlock: (() => Promise<void>) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: PlatformOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#options.port}`;
  }

  /** Resolves when everything serves. Throws where that cannot be; what was started by then is stopped. */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Drains and stops everything in reverse order. Idempotent; never rejects for a child that ends badly. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { dataDir, port, kubernetes } = this.#options;
    await mkdir(join(dataDir, 'run'), { recursive: true });
    await this.#claimFolder();
    this.#unlock = await tryLock(`data ${dataDir}`);
    if (this.#unlock === undefined) throw new UsageError(`a platform is already running on ${dataDir}`);
    const left = await endLeftovers(dataDir);
    if (left > 0) note(`ended ${left} processes left by an earlier run`);
    if (!(await isFree(port))) throw new UsageError(`port ${port} is in use: choose another with --port`);
    await ensureInfra(this.#env);
    if (kubernetes) await ensureCluster();
    const ports = await choosePorts(dataDir, port);
    // An install takes long enough to be interrupted; then nothing may begin behind the back of stop().
    if (this.#stopping !== undefined) throw new UsageError('stopped before anything was started');
    await this.#run(ports);
  }

  async #run(ports: Ports): Promise<void> {
    const { dataDir } = this.#options;
    const cluster = this.#options.kubernetes ? clusterOf(dataDir, ports['kubernetes'] ?? 0) : undefined;
    const infra = { ...infraAddresses(ports, this.#env), ...cluster?.forOperator };
    await this.#startUnits(ports, infra, cluster);
    if (this.#stopping === undefined) this.#pods = cluster?.keepPods(this.#workloads);
    this.#announced = true;
    const { kubeconfig } = cluster ?? {};
    await writeRunning({ dataDir, ports: { ...ports }, urls: addresses(ports), ...infra, kubeconfig });
  }

  /** What Redis and the ledger hold is of the sales that are in the same folder: they are looked after in one way only. */
  async #claimFolder(): Promise<void> {
    const { dataDir, kubernetes = false } = this.#options;
    const [own, other] = kubernetes ? ['kubernetes', 'resources'] : ['resources', 'kubernetes'];
    if (existsSync(join(dataDir, other))) {
      const kind = kubernetes ? 'without' : 'with';
      throw new UsageError(`${dataDir} is of a platform ${kind} Kubernetes: choose another folder with --data`);
    }
    await mkdir(join(dataDir, own), { recursive: true });
  }

  async #startUnits(ports: Ports, infra: Infra, cluster: Cluster | undefined): Promise<void> {
    const { dataDir } = this.#options;
    const plans = (this.#options.services ?? servicePlans)(dataDir, ports, infra);
    const infras = [...infraPlans(dataDir, ports, this.#env), ...(cluster ? [cluster] : [])];
    for (const { name, launch } of infras) this.#add(name, launch);
    for (const plan of plans) this.#addService(plan);
    this.#api = await serveWorkloads(ports['supervisor'] ?? 0, this.#workloads);
    this.#report.begin([...infras.map(({ name }) => name), ...plans.map(firstProcessOf)]);
    try {
      for (const { name } of infras) this.#begin(name, []);
      this.#prepare('postgres', () => this.#makeDatabases(infra));
      if (cluster) this.#prepare(cluster.name, cluster.prepare);
      for (const { name, after } of plans) this.#begin(name, after);
      await Promise.all(this.#started.values());
    } finally {
      this.#report.end();
    }
  }

  /** Starts a unit as soon as all it needs is ready; not at all once something failed. */
  #begin(name: string, after: readonly string[]): void {
    const needs = Promise.all(after.map((need) => this.#started.get(need) ?? Promise.resolve()));
    const started = needs.then(() => (this.#stopping === undefined ? this.#units.get(name)?.start() : undefined));
    // Its failure is told by whoever waits for all; here it only must not count as unhandled.
    started.catch(() => undefined);
    this.#started.set(name, started);
  }

  /** Who needs the server waits for `work` too. With one named by the environment there is no unit to wait for. */
  #prepare(name: string, work: () => Promise<void>): void {
    const prepared = (this.#started.get(name) ?? Promise.resolve()).then(work);
    prepared.catch(() => undefined);
    this.#started.set(name, prepared);
  }

  async #makeDatabases({ postgresUrl }: Infra): Promise<void> {
    for (const name of this.#options.databases ?? DATABASES) await ensureDatabase(databaseUrl(postgresUrl, name));
  }

  #add(name: string, launch: ConstructorParameters<typeof Supervised>[0]['launch']): void {
    this.#units.set(name, new Supervised({ name, launch, onState: this.#report.onState }));
  }

  #addService(plan: ServicePlan): void {
    const { dataDir } = this.#options;
    const { name, entry, env, port, adminPort, workload } = plan;
    if (workload === undefined) {
      this.#add(name, (signal) => launchService({ name, entry, env, adminPort, dataDir }, signal));
      return;
    }
    const replicas = new Workload({
      name,
      port,
      adminPort,
      onState: this.#report.onState,
      launch: (replica, signal) => {
        const own = { PORT: String(replica.port), ADMIN_PORT: String(replica.adminPort), SERVER_ID: replica.name };
        return launchService({ ...replica, entry, env: { ...env, ...own }, dataDir }, signal);
      },
    });
    this.#units.set(name, replicas);
    this.#workloads.set(`${workload.kind}/${workload.name}`, replicas);
  }

  async #stop(): Promise<void> {
    await this.#pods?.stop();
    for (const names of stopOrder([...this.#units.keys()])) {
      await Promise.allSettled(names.map((name) => this.#units.get(name)?.stop() ?? Promise.resolve()));
    }
    await this.#api?.close();
    // Another platform's state file is not ours to remove.
    if (this.#announced) await removeRunning();
    await this.#unlock?.();
  }
}

const firstProcessOf = ({ name, workload }: ServicePlan): string => (workload ? `${name}-1` : name);

/** The known order; what it does not name (fixtures of tests) stops first. */
function stopOrder(names: readonly string[]): string[][] {
  const known = new Set(STOP_ORDER.flat());
  const others = names.filter((name) => !known.has(name));
  return [others, ...STOP_ORDER.map((row) => row.filter((name) => names.includes(name)))];
}
