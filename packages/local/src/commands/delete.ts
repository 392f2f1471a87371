/** `flashsale delete`: asks the operator to end a FlashSale and to remove it, and waits until it is gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { UsageError } from '../usage-error.ts';
import { findSale, openSales } from './sales.ts';

const GONE_MS = 60_000;
const POLL_MS = 100;

export function deleteCommand(): Command {
  return new Command('delete')
    .description('end a FlashSale and remove it')
    .argument('<name>')
    .action(async (name: string) => {
      const sales = await openSales();
      const resource = await findSale(sales, name);
      await sales.askDeletion(resource);
      const deadline = Date.now() + GONE_MS;
      while (!(await sales.isGone(resource))) {
        if (Date.now() > deadline) {
          throw new UsageError(
            `"${name}" is marked for deletion, and still there after ${GONE_MS / 1000} s: see logs/operator.log`,
          );
        }
        await sleep(POLL_MS);
      }
      process.stdout.write(`flashsale.flashsale.dev "${name}" deleted\n`);
    });
}
