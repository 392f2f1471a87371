/** `flashsale tokens`: access tokens of different test buyers, for load tests. */
import { internalClient } from '@flashsale/platform/http';
import { Command } from 'commander';
import { requireRunning } from '../supervisor/running.ts';
import { countOption, takeBuyers, urlOf } from './crowd.ts';

const DEADLINE_MS = 300_000;

export function tokensCommand(): Command {
  return new Command('tokens')
    .description('print access tokens of different test buyers, one a line (local platform only)')
    .requiredOption('--count <n>', 'how many', countOption)
    .action(async ({ count }: { count: number }) => {
      const running = await requireRunning();
      const from = await takeBuyers(running, count);
      const identity = internalClient(urlOf(running, 'IDENTITY_URL'), DEADLINE_MS);
      process.stdout.write(await identity.text('POST', '/internal/test-tokens', { count, from }));
    });
}
