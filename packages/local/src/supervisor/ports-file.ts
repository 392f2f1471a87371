/** Ports of the platform's processes: chosen once, kept in DATA/ports.json, so that a restart finds the same. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, isFree } from '../ports.ts';

export type Ports = Readonly<Record<string, number>>;

const SERVICES = ['storefront', 'identity', 'checkout', 'payments', 'orders', 'catalog', 'live', 'operator'];
const NAMES = [
  ...['redis', 'kafka', 'kafka-controller', 'postgres', 'kubernetes', 'supervisor'],
  ...SERVICES.slice(1),
  ...SERVICES.map((name) => `${name}-admin`),
];

/** Every port but the edge's comes from the file or is chosen and written. A port that others took is replaced. */
export async function choosePorts(dataDir: string, edge: number): Promise<Ports> {
  const file = join(dataDir, 'ports.json');
  const kept = await readPorts(file);
  const ports: Record<string, number> = {};
  const taken = new Set([edge]);
  for (const name of NAMES) {
    const old = kept[name];
    let port = old !== undefined && !taken.has(old) && (await isFree(old)) ? old : await freePort();
    while (taken.has(port)) port = await freePort();
    taken.add(port);
    ports[name] = port;
  }
  await writeFile(`${file}.new`, `${JSON.stringify(ports, undefined, 2)}\n`);
  await rename(`${file}.new`, file);
  return { ...ports, edge };
}

async function readPorts(file: string): Promise<Ports> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Ports;
  } catch {
    return {};
  }
}
