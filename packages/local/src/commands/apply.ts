/** `flashsale apply`: creates or changes FlashSales, refusing what the cluster's API would refuse. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { accept } from '@flashsale/operator/accept';
import type { SaleResource } from '@flashsale/operator/resources';
import { parseFlashSale } from '@flashsale/operator/api/flashsale';
import type { Sale, SaleProblem } from '@flashsale/sale';
import { Command } from 'commander';
import { isMap, parseAllDocuments, parseDocument, type Document } from 'yaml';
import { UsageError } from '../usage-error.ts';
import { openSales, type Sales } from './sales.ts';

export function applyCommand(): Command {
  return new Command('apply')
    .description('create or change the FlashSales of a YAML file')
    .requiredOption('-f, --filename <file>', 'the file, or - for standard input')
    .action(async ({ filename }: { filename: string }) => {
      const sales = await openSales();
      for (const line of await applyText(sales, await read(filename))) process.stdout.write(`${line}\n`);
    });
}

/** Applies every document of the text; nothing at all where one of them is refused. Returns a line for each. */
export async function applyText(sales: Sales, text: string): Promise<string[]> {
  const documents = parseAllDocuments(text).filter((document) => document.contents !== null);
  if (documents.length === 0) throw new UsageError('the file holds no document');
  const existing = await sales.list();
  const lines: string[] = [];
  for (const { sale, text: next, old } of documents.map((document) => plan(document, existing))) {
    lines.push(`flashsale.flashsale.dev/${sale.name} ${await sales.write(sale, next, old)}`);
  }
  return lines;
}

interface Planned {
  readonly sale: Sale;
  readonly text: string;
  readonly old: SaleResource | undefined;
}

function plan(document: Document, existing: readonly SaleResource[]): Planned {
  const { sale, problems } = parseFlashSale(document.toString());
  if (sale === undefined) throw refusal(nameIn(document), problems);
  const old = existing.find((resource) => resource.name === sale.name);
  const created = old === undefined ? undefined : createdAt(old.text);
  document.setIn(['metadata', 'creationTimestamp'], created ?? new Date().toISOString());
  const text = document.toString({ lineWidth: 0 });
  if (old !== undefined) checkChange(old, sale, text);
  return { sale, text, old };
}

/** Throws UsageError where the document may not take the place of the old one. */
function checkChange(old: SaleResource, sale: Sale, text: string): void {
  if (old.namespace !== sale.namespace) {
    throw new UsageError(`a FlashSale "${sale.name}" is in namespace ${old.namespace}: a name is for one sale only`);
  }
  if (old.deleting) throw new UsageError(`the FlashSale "${sale.name}" is being deleted: apply it after that`);
  if (old.text === text) return;
  const { problems } = accept({ ...old, text });
  if (problems.length > 0) throw refusal(sale.name, problems);
}

function refusal(name: string, problems: readonly SaleProblem[]): UsageError {
  const lines = problems.map(({ field, message }) => `  ${field === '' ? '' : `${field}: `}${message}`);
  return new UsageError(`the FlashSale "${name}" is invalid:\n${lines.join('\n')}`);
}

function nameIn(document: Document): string {
  const name = isMap(document.contents) ? document.getIn(['metadata', 'name']) : undefined;
  return typeof name === 'string' ? name : '';
}

function createdAt(text: string): string | undefined {
  const value = parseDocument(text).getIn(['metadata', 'creationTimestamp']);
  return typeof value === 'string' ? value : undefined;
}

async function read(filename: string): Promise<string> {
  if (filename === '-') return readAll(process.stdin);
  try {
    return await readFile(filename, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${filename}: ${error instanceof Error ? error.message : '?'}`);
  }
}
