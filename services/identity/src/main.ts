/** The process of the identity service. */
import { run } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { identityService } from './service.ts';

await run('identity', async ({ log, env }) => (await identityService(readConfig(env), log)).parts);
