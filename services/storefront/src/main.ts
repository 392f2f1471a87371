/** The process of the edge. */
import { run } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { storefrontService } from './service.ts';

await run('storefront', ({ log, env }) => storefrontService(readConfig(env), log).parts);
