/** The process of the live service. */
import { run } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { liveService } from './service.ts';

await run('live', ({ log, env }) => liveService(readConfig(env), log).parts);
