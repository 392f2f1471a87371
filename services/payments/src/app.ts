/** The routes of payments: internal only. */
import { z } from '@flashsale/platform/config';
import { createApp, finishApp, parseInput, type Express } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { Book } from './ports.ts';

const body = z.object({
  accounts: z
    .array(z.object({ buyer: z.string().min(1).max(200), creditMinor: z.int().min(0) }))
    .min(1)
    .max(2_000),
});

export function createPaymentsApp(book: Pick<Book, 'setCredit'>, currency: string, log: Logger): Express {
  const app = createApp(log);
  app.put('/internal/accounts', async (req, res) => {
    const { accounts } = parseInput(body, req.body ?? {});
    await book.setCredit(accounts, currency);
    res.status(204).end();
  });
  finishApp(app, log);
  return app;
}
