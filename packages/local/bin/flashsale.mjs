#!/usr/bin/env node
// The command `flashsale`: runs on the repo's own Node where the one that started it is too old for TypeScript.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const node = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // Halves the time of a command; not under coverage, which it would make less exact.
  const cache = new URL('../../../node_modules/.cache/flashsale/compiled', import.meta.url);
  if (!process.env.NODE_V8_COVERAGE) module.enableCompileCache(fileURLToPath(cache));
  await import(main);
} else if (!existsSync(node)) {
  console.error('flashsale needs Node 24: run `npm ci` in the repository first, it brings one along.');
  process.exitCode = 1;
} else {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // On a terminal Ctrl-C reaches the child by itself; a signal sent to this process alone must be handed on.
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}
