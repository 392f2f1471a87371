/** FlashSale resources of the running platform: documents in DATA/resources, beside them what the operator wrote. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resourceFolder, type SaleResource } from '@flashsale/operator/resources';
import { requireRunning } from '../supervisor/running.ts';
import { UsageError } from '../usage-error.ts';

/** The folder of the running platform. Throws NotRunningError. */
export async function resourcesDir(): Promise<string> {
  return join((await requireRunning()).dataDir, 'resources');
}

export async function listResources(dir: string): Promise<SaleResource[]> {
  return resourceFolder(dir).list();
}

/** The resource of that name in any namespace. Throws UsageError where there is none. */
export async function findResource(dir: string, name: string): Promise<SaleResource> {
  const found = (await listResources(dir)).find((resource) => resource.name === name);
  if (found === undefined) throw new UsageError(`there is no FlashSale "${name}"`);
  return found;
}

/** Writes the document in one step: a reader sees the old or the new one. */
export async function writeResource(dir: string, namespace: string, name: string, text: string): Promise<void> {
  await mkdir(join(dir, namespace), { recursive: true });
  const file = join(dir, namespace, `${name}.yaml`);
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/** Asks the operator to end and remove it. */
export async function askDeletion(dir: string, { namespace, name }: SaleResource): Promise<void> {
  await writeFile(join(dir, namespace, `${name}.deleted`), '');
}

export function isGone(dir: string, { namespace, name }: SaleResource): boolean {
  return !existsSync(join(dir, namespace, `${name}.yaml`));
}
