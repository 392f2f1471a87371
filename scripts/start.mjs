// `npm start`: installs what is missing, then runs `flashsale start` on Node 24.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bootstrap, fail, node, root } from './bootstrap.mjs';

async function start() {
  await bootstrap();
  const main = join(root, 'packages/local/src/main.ts');
  const child = spawn(node, [main, 'start', ...process.argv.slice(2)], { stdio: 'inherit' });
  // On a terminal Ctrl-C reaches the child by itself; a signal sent to this process alone must be handed on.
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}

await start().catch(fail);
