/** A process for run.test.ts: an HTTP service whose behaviour the test chooses by FIXTURE. */
import { createApp, finishApp, httpPart } from './http.ts';
import { loop, run, type Part } from './run.ts';

const mode = process.env['FIXTURE'] ?? '';

await run('fixture', ({ log }) => {
  const say = (act: string): Promise<void> => {
    log.info(act);
    return Promise.resolve();
  };
  const app = createApp(log);
  let release = (): void => undefined;
  app.get('/slow', (_req, res) => {
    log.info('slow request under way');
    release = () => void res.send('finished');
  });
  app.get('/throw', (_req, res) => {
    res.end();
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
  });
  app.get('/reject', (_req, res) => {
    res.end();
    void Promise.reject(new Error('nobody awaits this'));
  });
  app.get('/log', async (_req, res) => {
    await Promise.resolve();
    log.info('in a request');
    res.end();
  });
  app.post('/log', (_req, res) => {
    log.info('in a request with a body');
    res.end();
  });
  finishApp(app, log);

  const store: Part = {
    name: 'store',
    start: () => say('store start'),
    ready: () => mode !== 'unready',
    // Started before the server, so drained after it.
    drain: () => (mode === 'bad-drain' ? Promise.reject(new Error('cannot drain')) : say('store drain')),
    stop: () => say('store stop'),
  };
  const broken: Part = { name: 'broken', start: () => Promise.reject(new Error('no connection')) };
  const beat = loop('beat', log, 20, () => Promise.resolve());
  const server = httpPart({ app, port: 0, log });
  // The slow request ends only once the drain has begun: that it is answered shows that the drain waited for it.
  const releaser: Part = {
    name: 'releaser',
    drain: async () => {
      await say('releaser drain');
      if (mode !== 'stuck') setImmediate(() => release());
    },
  };
  return [store, beat, server, releaser, ...(mode === 'broken' ? [broken] : [])];
});
