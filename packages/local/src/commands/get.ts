/** `flashsale get`: FlashSales with their status, as a table, JSON or YAML. */
import type { SaleResource } from '@flashsale/operator/resources';
import { Command, Option } from 'commander';
import { parse, stringify } from 'yaml';
import { z } from '@flashsale/platform/config';
import { findSale, openSales } from './sales.ts';

/** What the table shows of a document; anything else in it stays as it is. */
const documentSchema = z.looseObject({
  metadata: z.looseObject({ creationTimestamp: z.string().optional() }).optional(),
  spec: z
    .looseObject({ opensAt: z.string().optional(), items: z.array(z.looseObject({ stock: z.number() })).optional() })
    .optional(),
});

export function getCommand(): Command {
  return new Command('get')
    .description('show FlashSales')
    .argument('[name]', 'one of them; all where absent')
    .addOption(new Option('-o, --output <format>', 'instead of a table').choices(['json', 'yaml']))
    .action(async (name: string | undefined, { output }: { output?: 'json' | 'yaml' }) => {
      const sales = await openSales();
      const resources = name === undefined ? await sales.list() : [await findSale(sales, name)];
      process.stdout.write(`${render(resources, name !== undefined, output)}\n`);
    });
}

function render(resources: readonly SaleResource[], single: boolean, output?: 'json' | 'yaml'): string {
  if (output === undefined) return table(resources, Date.now());
  const items = resources.map(withStatus);
  const shown = single ? items[0] : { apiVersion: 'v1', kind: 'List', items };
  return output === 'json' ? JSON.stringify(shown, undefined, 2) : stringify(shown).trimEnd();
}

function withStatus(resource: SaleResource): Record<string, unknown> {
  return { ...(parse(resource.text) as Record<string, unknown>), ...(resource.status && { status: resource.status }) };
}

/** Columns as in `kubectl get flashsales`. `now` in Unix ms. */
export function table(resources: readonly SaleResource[], now: number): string {
  if (resources.length === 0) return 'No FlashSales found.';
  const head = ['NAME', 'PHASE', 'OPENS', 'STOCK', 'SOLD', 'LAG', 'READY', 'AGE'];
  const rows = [head, ...resources.map((resource) => row(resource, now))];
  const widths = head.map((_title, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map((cells) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

function row(resource: SaleResource, now: number): string[] {
  const scale = resource.status?.scale ?? [];
  const { opens, stock, created } = readDocument(resource.text);
  return [
    resource.name,
    resource.deleting ? 'Deleting' : (resource.status?.phase ?? 'Pending'),
    opens,
    String(stock),
    String(sum(resource.status?.items.map((item) => item.sold) ?? [])),
    String(sum(scale.map(({ lag }) => lag))),
    `${sum(scale.map(({ ready }) => ready))}/${sum(scale.map(({ desired }) => desired))}`,
    created === undefined ? '' : age(now - Date.parse(created)),
  ];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** A document that cannot be read as expected is shown without these. */
function readDocument(text: string): { opens: string; stock: number; created: string | undefined } {
  const { metadata, spec } = documentSchema.safeParse(parse(text)).data ?? {};
  const stock = sum(spec?.items?.map((item) => item.stock) ?? []);
  return { opens: spec?.opensAt ?? '', stock, created: metadata?.creationTimestamp };
}

/** `90s`, `12m`, `3h`, `2d`, as kubectl shows ages. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const units = [
    [86_400, 'd', 2],
    [3600, 'h', 2],
    [60, 'm', 2],
  ] as const;
  for (const [size, unit, least] of units) if (seconds >= size * least) return `${Math.floor(seconds / size)}${unit}`;
  return `${seconds}s`;
}
