// `npm test`: installs what is missing, checks form, lint, types and generated code, and runs every test on real servers.
// `npm test -- PATTERN`: only the test files whose path holds the pattern, without the checks and the coverage gate.
import { spawn } from 'node:child_process';
import { bootstrap, fail, node } from './bootstrap.mjs';

async function test() {
  await bootstrap();
  const runner = new URL('test-run.mjs', import.meta.url).pathname;
  const child = spawn(node, [runner, ...process.argv.slice(2)], { stdio: ['ignore', 'inherit', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

await test().catch(fail);
