/** The FlashSales of the running platform, wherever they are: in its folder, or on its Kubernetes API server. */
import { join } from 'node:path';
import type { SaleResource } from '@flashsale/operator/resources';
import { requireRunning, type RunningPlatform } from '../supervisor/running.ts';
import { UsageError } from '../usage-error.ts';
import { folderSales } from './resource-files.ts';

export type SaleName = Pick<SaleResource, 'namespace' | 'name'>;

export interface Sales {
  list(): Promise<SaleResource[]>;
  /** Puts the document in the place of `old`, or creates it. Throws UsageError where the API server refuses it. */
  write(name: SaleName, text: string, old: SaleResource | undefined): Promise<'created' | 'configured' | 'unchanged'>;
  /** Asks the operator to end and remove it. */
  askDeletion(name: SaleName): Promise<void>;
  isGone(name: SaleName): Promise<boolean>;
}

/** Throws NotRunningError. */
export async function openSales(running?: RunningPlatform): Promise<Sales> {
  const { dataDir, kubeconfig } = running ?? (await requireRunning());
  if (kubeconfig === undefined) return folderSales(join(dataDir, 'resources'));
  // The Kubernetes client takes its time to load.
  const { clusterSales } = await import('./cluster-sales.ts');
  return clusterSales(kubeconfig);
}

/** The sale of that name in any namespace. Throws UsageError where there is none. */
export async function findSale(sales: Sales, name: string): Promise<SaleResource> {
  const found = (await sales.list()).find((resource) => resource.name === name);
  if (found === undefined) throw new UsageError(`there is no FlashSale "${name}"`);
  return found;
}
