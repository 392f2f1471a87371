/** Apache Kafka: its jars from Maven Central, one KRaft node on loopback. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild, untilReady } from '../child.ts';
import { withLock } from '../lock.ts';
import { freePorts } from '../ports.ts';
import { kafkaServes } from '../probe.ts';
import { note, step } from '../progress.ts';
import { aptInstall, cached, canUseApt, firstOf, runProgram, versionText, which } from './install.ts';
import type { RunningServer, ServerOptions } from './server.ts';

const KAFKA = '4.4.0';
/** Kafka logs through SLF4J 1.7 and leaves the binding to its user. */
const LOG4J = '2.25.5';
const OLDEST_JAVA = 17;
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qk';
const READY_MS = 90_000;
const STOP_MS = 20_000;
/** Class data archive of the JVM: halves the start. */
const ARCHIVE = 'classes.jsa';
const JVM = ['-XX:+UseSerialGC', '-Djava.net.preferIPv4Stack=true'];

export interface KafkaOptions extends ServerOptions {
  /** Port of the controller; a free one where absent. */
  readonly controllerPort?: number;
  /** Where clients find it, of a proxy in front of it; its own port where absent. */
  readonly advertisedPort?: number;
}

interface Installation {
  readonly java: string;
  readonly folder: string;
}

/** Java, Kafka's jars, a formatted empty log folder and the JVM's class archive, fetched and made where needed. */
export async function ensureKafka(): Promise<Installation> {
  const java = await ensureJava();
  const folder = await cached(`kafka-${KAFKA}-log4j-${LOG4J}`, async (draft) => {
    await step(`Fetching Kafka ${KAFKA} (43 MB)`, () => fetchJars(draft));
    await step('Formatting Kafka storage', () => format(java, draft));
  });
  const installation = { java, folder };
  if (!existsSync(join(folder, ARCHIVE))) await makeArchive(installation);
  return installation;
}

/** Starts one Kafka node (broker and controller) on loopback. Topics are made by the services, never by accident. */
export async function startKafka(options: KafkaOptions): Promise<RunningServer> {
  const installation = await ensureKafka();
  return launch(installation, options, [
    `-XX:SharedArchiveFile=${join(installation.folder, ARCHIVE)}`,
    '-Xshare:auto',
    // A test's broker lives for seconds: the second compiler would cost more than it gives.
    ...(options.durable === false ? ['-XX:TieredStopAtLevel=1'] : []),
  ]);
}

async function launch(
  { java, folder }: Installation,
  options: KafkaOptions,
  jvm: readonly string[],
): Promise<RunningServer> {
  const { dataDir, port } = options;
  const durable = options.durable ?? true;
  await mkdir(dataDir, { recursive: true });
  const logs = join(dataDir, 'log');
  if (!existsSync(join(logs, 'meta.properties'))) await copyTemplate(folder, logs);
  const controllerPort = options.controllerPort ?? (await freePorts(1))[0] ?? 0;
  const properties = join(dataDir, 'server.properties');
  await writeFile(properties, serverProperties(logs, port, controllerPort, options.advertisedPort));
  await writeFile(join(dataDir, 'log4j2.xml'), LOG_CONFIG);
  const child = await startChild({
    name: 'kafka',
    port,
    command: [
      java,
      ...JVM,
      '-Xms256m',
      '-Xmx512m',
      ...jvm,
      `-Dlog4j2.configurationFile=${join(dataDir, 'log4j2.xml')}`,
      '-cp',
      await classPath(folder),
      'kafka.Kafka',
      properties,
    ],
    cwd: dataDir,
    logFile: options.logFile ?? join(dataDir, 'kafka.log'),
    pidFile: join(dataDir, 'kafka.pid'),
    stopSignal: durable ? 'SIGTERM' : 'SIGKILL',
    stopMs: STOP_MS,
  });
  await untilReady(child, READY_MS, () => kafkaServes(port)).catch(async (error: unknown) => {
    await child.stop();
    throw error;
  });
  return {
    url: `127.0.0.1:${port}`,
    port,
    pid: child.pid,
    exited: child.exited,
    stop: () => child.stop(),
    kill: () => child.kill(),
  };
}

async function ensureJava(): Promise<string> {
  const help = 'Install Java 17 or later and Maven, or set FLASHSALE_KAFKA_BROKERS to a running Kafka.';
  return firstOf('Java (for Kafka)', help, [
    () => Promise.resolve(javaOnMachine()),
    async () => {
      if (!canUseApt()) return undefined;
      await aptInstall(['openjdk-17-jre-headless']);
      return javaOnMachine();
    },
  ]);
}

function javaOnMachine(): string | undefined {
  const home = process.env['JAVA_HOME'];
  const candidates = [home === undefined ? undefined : join(home, 'bin/java'), which('java')];
  return candidates.find((java) => {
    if (java === undefined || !existsSync(java)) return false;
    return Number(/version "(\d+)/.exec(versionText(java, ['-version']))?.[1] ?? 0) >= OLDEST_JAVA;
  });
}

async function fetchJars(draft: string): Promise<void> {
  if (which('mvn') === undefined) {
    if (!canUseApt()) throw new Error('Kafka comes through Maven. Install maven, or set FLASHSALE_KAFKA_BROKERS.');
    await aptInstall(['maven']);
  }
  await writeFile(join(draft, 'pom.xml'), POM);
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
  const jars = ['-DoutputDirectory=lib', '-DincludeScope=runtime'];
  await runProgram('mvn', ['-q', '-B', '--strict-checksums', plugin, ...jars], { cwd: draft });
}

/** Formats an empty log folder once; each new broker starts on a copy, which saves a start of the JVM. */
async function format(java: string, draft: string): Promise<void> {
  const properties = join(draft, 'format.properties');
  await writeFile(properties, serverProperties(join(draft, 'template'), 9092, 9093));
  const tool = ['-cp', await classPath(draft), 'kafka.tools.StorageTool', 'format'];
  await runProgram(java, [...JVM, '-XX:TieredStopAtLevel=1', ...tool, '-t', CLUSTER_ID, '-c', properties]);
}

async function copyTemplate(folder: string, logs: string): Promise<void> {
  const draft = `${logs}.part-${process.pid}`;
  await cp(join(folder, 'template'), draft, { recursive: true });
  await rename(draft, logs);
}

/** Runs a broker once so that the JVM writes down the classes it loaded. Without the archive all works, only slower. */
async function makeArchive(installation: Installation): Promise<void> {
  const archive = join(installation.folder, ARCHIVE);
  await withLock(archive, async () => {
    if (existsSync(archive)) return;
    const dataDir = `${archive}.part-${process.pid}`;
    await step('Preparing fast starts of Kafka', async () => {
      const [port = 0] = await freePorts(1);
      const draft = join(dataDir, ARCHIVE);
      const server = await launch(installation, { dataDir, port }, [`-XX:ArchiveClassesAtExit=${draft}`]);
      await server.stop();
      await rename(draft, archive);
    })
      .catch((error: unknown) => note(`Kafka will start slower: ${error instanceof Error ? error.message : '?'}`))
      .finally(() => rm(dataDir, { recursive: true, force: true }));
  });
}

/** In a fixed order: the class archive is bound to it. */
async function classPath(folder: string): Promise<string> {
  const jars = (await readdir(join(folder, 'lib'))).filter((name) => name.endsWith('.jar')).sort();
  return jars.map((name) => join(folder, 'lib', name)).join(':');
}

function serverProperties(logs: string, port: number, controllerPort: number, advertised = port): string {
  const one = ['offsets.topic.replication.factor', 'transaction.state.log.replication.factor'];
  one.push('transaction.state.log.min.isr', 'share.coordinator.state.topic.replication.factor');
  one.push('share.coordinator.state.topic.min.isr', 'default.replication.factor');
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${advertised}`,
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAINTEXT',
    `log.dirs=${logs}`,
    ...one.map((name) => `${name}=1`),
    'num.partitions=4',
    'offsets.topic.num.partitions=4',
    'transaction.state.log.num.partitions=4',
    'group.initial.rebalance.delay.ms=0',
    // After a crash the same broker waits until its old session has run out: 9 s by default.
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=500',
    'auto.create.topics.enable=false',
    'num.network.threads=2',
    'num.io.threads=4',
    'log.cleaner.dedupe.buffer.size=16777216',
    '',
  ].join('\n');
}

const POM = `<project><modelVersion>4.0.0</modelVersion>
<groupId>dev.flashsale</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA}</version>
</dependency><dependency>
<groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${LOG4J}</version>
</dependency></dependencies></project>
`;

const LOG_CONFIG = `<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
`;
