/** The scripts for Argo CD, run by the Lua that Argo CD has, with what Argo CD makes of their results. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { testLua } from '@flashsale/local/testing';
import { parse } from 'yaml';

export const GITOPS = new URL('../../../gitops/argocd/', import.meta.url);
export const SCRIPTS = new URL('resource_customizations/flashsale.dev/FlashSale/', GITOPS);
const ANSWER_MS = 10_000;

export const textOf = (path: string): string => readFileSync(new URL(path, SCRIPTS), 'utf8');
export const yamlOf = (path: string): unknown => parse(textOf(path));

export interface Health {
  readonly status: string;
  readonly message: string;
}
export interface Action {
  readonly name: string;
  readonly disabled: boolean;
  readonly displayName: string;
  readonly iconClass: string;
}
/** Whether Lua's whole library is there, as for scripts that Argo CD ships; for those of argocd-cm it is not. */
export type Libraries = 'all' | 'few';

export interface Lua {
  /** What the script returned. Throws what the script has thrown. */
  run(script: string, object: object, libraries?: Libraries): Promise<unknown>;
  close(): Promise<void>;
}

export async function startLua(): Promise<Lua> {
  const child = spawn(await testLua(), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  let turn = Promise.resolve();
  const ask = async (request: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const alarm = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    const line = await lines.next().finally(() => clearTimeout(alarm));
    if (line.done === true) throw new Error('Lua ended without an answer');
    const { result, error } = JSON.parse(line.value) as { result?: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return result;
  };
  return {
    // Answers come in the order of the requests: one at a time is all that it takes.
    run: (script, object, libraries = 'few') => {
      const answer = turn.then(() => ask({ script, object, openLibs: libraries === 'all' }));
      turn = answer.then(
        () => undefined,
        () => undefined,
      );
      return answer;
    },
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

export async function healthOf(lua: Lua, object: object, libraries?: Libraries): Promise<Health> {
  return (await lua.run(textOf('health.lua'), object, libraries)) as Health;
}

/** The actions that are offered, by name; none where the script returns an empty table. */
export async function actionsOf(lua: Lua, object: object, libraries?: Libraries): Promise<Action[]> {
  const found = (await lua.run(textOf('actions/discovery.lua'), object, libraries)) as Record<string, Action>;
  return Object.entries(found).map(([name, action]) => ({ ...action, name }));
}

/** The resource as the action wants it. Lua knows no empty list and no empty object: both stay what they were. */
export async function act(lua: Lua, name: string, object: object): Promise<object> {
  return restored(await lua.run(textOf(`actions/${name}/action.lua`), object), object) as object;
}

function restored(made: unknown, was: unknown): unknown {
  if (Array.isArray(made) && made.length === 0 && isRecord(was)) return was;
  if (Array.isArray(made)) return made.map((value, i) => restored(value, Array.isArray(was) ? was[i] : undefined));
  if (!isRecord(made)) return made;
  const before = isRecord(was) ? was : {};
  return Object.fromEntries(Object.entries(made).map(([key, value]) => [key, restored(value, before[key])]));
}

/** The JSON merge patch (RFC 7386) that Argo CD sends to the API server after an action; empty where nothing changed. */
export function mergePatchOf(was: object, made: object): object {
  const [before, after] = [was, made] as [Record<string, unknown>, Record<string, unknown>];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => {
    return !isDeepStrictEqual(before[key], after[key]);
  });
  return Object.fromEntries(
    changed.map((key) => {
      const [old, value] = [before[key], after[key]];
      return [key, isRecord(old) && isRecord(value) ? mergePatchOf(old, value) : (value ?? null)];
    }),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
