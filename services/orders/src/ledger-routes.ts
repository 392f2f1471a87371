/** The ledger for the operator, the proof and checkout: internal routes, never routed by the edge. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from '@flashsale/platform/config';
import { parseInput, Router, type Response } from '@flashsale/platform/http';
import { SaleError } from '@flashsale/sale';
import type { LedgerView } from './ports.ts';

const allocation = z.object({
  items: z
    .array(
      z.object({
        sku: z.string().min(1).max(100),
        allocated: z.int().min(0),
        perBuyer: z.int().min(1).max(2_147_483_647),
      }),
    )
    .min(1)
    .max(500)
    .refine((items) => new Set(items.map(({ sku }) => sku)).size === items.length, 'each sku once'),
});

export function ledgerRoutes(ledger: LedgerView): Router {
  const router = Router();
  router.put('/sales/:sale/allocation', async (req, res) => {
    const { items } = parseInput(allocation, req.body ?? {});
    if (await ledger.allocate(req.params.sale, items)) res.status(204).end();
    else res.status(409).json({ detail: 'More of an item is sold already than would be allocated.' });
  });
  router.get('/sales/:sale/totals', async (req, res) => {
    res.json({ items: await ledger.totals(req.params.sale) });
  });
  router.get('/sales/:sale/entries', async (req, res) => {
    await stream(res, ledger.entries(req.params.sale));
  });
  router.get('/sales', async (_req, res) => {
    await stream(res, ledger.sales());
  });
  router.get('/purchases/:id', async (req, res) => {
    const found = await ledger.entry(req.params.id);
    if (!found) throw new SaleError('purchase_not_found', 'The ledger has no such purchase.');
    res.json(found);
  });
  return router;
}

async function stream(res: Response, all: AsyncIterable<unknown>): Promise<void> {
  res.type('application/x-ndjson');
  try {
    await pipeline(Readable.from(lines(all)), res);
  } catch (error) {
    // A reader that left early has all it wanted.
    if (!isEarlyClose(error)) throw error;
  }
}

/** Lines of NDJSON, many in one piece: a write to the socket a line would cost more than the line. */
async function* lines(all: AsyncIterable<unknown>): AsyncGenerator<string> {
  let piece = '';
  for await (const one of all) {
    piece += `${JSON.stringify(one)}\n`;
    if (piece.length < 32_768) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

function isEarlyClose(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
