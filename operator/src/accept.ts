/** Takes a resource's document into use, or says what is wrong with it. */
import { createHash } from 'node:crypto';
import { checkChange, type Sale, type SaleProblem, type StockLevel } from '@flashsale/sale';
import { parseFlashSale } from './api/flashsale.ts';
import type { SaleResource } from './resources.ts';
import { newStatus, type SaleStatus } from './status.ts';

export interface Accepted {
  readonly status: SaleStatus;
  /** Undefined where no spec of this resource was ever accepted. */
  readonly sale: Sale | undefined;
  readonly problems: readonly SaleProblem[];
}

/** The spec to run: the document's where it is valid and may replace the last accepted one, else the last accepted one. */
export function accept(resource: SaleResource): Accepted {
  const found = resource.status ?? newStatus;
  const digest = createHash('sha256').update(resource.text).digest('base64url');
  const changed = digest !== found.observedDigest;
  const observedGeneration = resource.generation ?? found.observedGeneration + (changed ? 1 : 0);
  const status = { ...found, observedDigest: digest, observedGeneration };
  const parsed = parseOnce(resource.text);
  const problems = parsed.sale
    ? [...placeProblems(parsed.sale, resource), ...changeProblems(parsed.sale, status)]
    : parsed.problems;
  if (!parsed.sale || problems.length > 0) return { status, sale: status.accepted, problems };
  return { status: { ...status, accepted: parsed.sale }, sale: parsed.sale, problems: [] };
}

/** Documents last parsed; passes are many and changes few. Bounded: the oldest gives way. */
const remembered = new Map<string, ReturnType<typeof parseFlashSale>>();
const MOST_REMEMBERED = 512;

function parseOnce(text: string): ReturnType<typeof parseFlashSale> {
  let known = remembered.get(text);
  if (!known) {
    known = parseFlashSale(text);
    if (remembered.size >= MOST_REMEMBERED) remembered.delete(remembered.keys().next().value as string);
    remembered.set(text, known);
  }
  return known;
}

/** A resource is known by where it lies; under another name its stock, ledger and status would be another sale's. */
function placeProblems(sale: Sale, { namespace, name }: SaleResource): SaleProblem[] {
  const problems: SaleProblem[] = [];
  if (sale.name !== name) problems.push({ field: 'metadata.name', message: `write ${name}, the name of its file` });
  if (sale.namespace !== namespace) {
    problems.push({ field: 'metadata.namespace', message: `write ${namespace}, the name of its folder` });
  }
  return problems;
}

function changeProblems(next: Sale, status: SaleStatus): SaleProblem[] {
  if (!status.accepted) return [];
  const taken = new Map(status.items.map((item) => [item.sku, takenOf(item)]));
  return checkChange(status.accepted, next, { phase: status.phase, taken });
}

const takenOf = (level: StockLevel): number => level.held + level.sold;
