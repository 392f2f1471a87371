/** CPU and memory of a process and all its descendants, from /proc (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/<pid>/stat: USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS = 100;
const PAGE_MB = 4096 / 1e6;

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Of itself and of its children that have ended and were waited for, in ms. */
  readonly cpuMs: number;
  /** Resident memory, MB. Shared pages count for every process. */
  readonly memoryMb: number;
}

export interface TreeUse {
  readonly processes: number;
  readonly cpuMs: number;
  readonly memoryMb: number;
}

/** One line of /proc/<pid>/stat (proc(5)). */
export function parseStat(text: string): ProcessStat {
  // The command name may hold spaces and parentheses: fields are counted from the last ')'.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid: Number.parseInt(text, 10),
    parent: field(4),
    cpuMs: ((field(14) + field(15) + field(16) + field(17)) * 1000) / TICKS,
    memoryMb: field(24) * PAGE_MB,
  };
}

/** The roots that still run, and everything that descends from them. */
export function treeOf(roots: readonly number[], all: readonly ProcessStat[]): ProcessStat[] {
  const children = Map.groupBy(all, ({ parent }) => parent);
  const byPid = new Map(all.map((stat) => [stat.pid, stat]));
  const found = new Map<number, ProcessStat>();
  const todo = roots.flatMap((pid) => byPid.get(pid) ?? []);
  for (let next = todo.pop(); next; next = todo.pop()) {
    if (found.has(next.pid)) continue;
    found.set(next.pid, next);
    todo.push(...(children.get(next.pid) ?? []));
  }
  return [...found.values()];
}

/**
 * What the trees of `roots` have used so far. With `mark`, processes whose environment holds it (`NAME=value`) belong as
 * well: servers that detached from their parent. A process that ended without being waited for is not counted.
 */
export function useOf(roots: readonly number[], mark?: string): TreeUse {
  const all = readAll();
  const marked = mark === undefined ? [] : all.filter(({ pid }) => hasMark(pid, mark)).map(({ pid }) => pid);
  const tree = treeOf([...roots, ...marked], all);
  return {
    processes: tree.length,
    cpuMs: tree.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    memoryMb: tree.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
  };
}

/** The processes whose environment holds the mark. */
export function markedPids(mark: string): number[] {
  return readAll()
    .map(({ pid }) => pid)
    .filter((pid) => hasMark(pid, mark));
}

function readAll(): ProcessStat[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const text = readText(`/proc/${pid}/stat`);
    return text === '' ? [] : [parseStat(text)];
  });
}

function hasMark(pid: number, mark: string): boolean {
  return readText(`/proc/${pid}/environ`).split('\0').includes(mark);
}

/** Empty where the process is gone or is somebody else's. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
