/** Where FlashSale resources live. Here: documents in a folder, edited through `flashsale apply`; `kube/` has another. */
import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newStatus, type SaleStatus } from './status.ts';

export interface ResourceName {
  readonly namespace: string;
  readonly name: string;
}

/** The key of a resource in queues and maps. */
export const keyOf = ({ namespace, name }: ResourceName): string => `${namespace}/${name}`;

export function nameOf(key: string): ResourceName {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** One resource as it is stored: the text its owner wrote, and the status we wrote. */
export interface SaleResource extends ResourceName {
  readonly text: string;
  /** Undefined where no status was written yet. */
  readonly status: SaleStatus | undefined;
  /** The owner asked for its deletion. */
  readonly deleting: boolean;
  /** `metadata.generation`; absent where nobody counts, then the operator does. */
  readonly generation?: number;
}

export interface SaleResources {
  list(): Promise<SaleResource[]>;
  /**
   * Undefined where there is none; throws where that cannot be told. Never gives an older status than was written
   * through this port; nor does `list`.
   */
  get(name: ResourceName): Promise<SaleResource | undefined>;
  /** Calls `onChange` soon after a resource was applied or deleted, each time. Returns the stop. */
  watch(onChange: (changed: ResourceName) => void): () => void;
  /** Before anything is done for a sale: from now on its resource stays, with `deleting`, until `remove`. */
  claim(resource: SaleResource): Promise<void>;
  writeStatus(resource: SaleResource, status: SaleStatus): Promise<void>;
  /** Takes away a resource whose deletion was asked for, after its sale was cleaned up. */
  remove(resource: SaleResource): Promise<void>;
}

/** How often the folder is compared with what was seen of it, in ms: events of a file system may be lost. */
const COMPARE_MS = 5_000;

/**
 * Resources in `folder`: `<namespace>/<name>.yaml`, beside it `<name>.status.json` and, to delete it, `<name>.deleted`.
 * A file that cannot be read keeps only its own sale from being listed; `onUnreadable` hears of it at each reading.
 */
export function resourceFolder(
  folder: string,
  onUnreadable: (path: string, error: unknown) => void = () => undefined,
): SaleResources {
  /** Keys that the last list left out: nothing in the folder may change when they can be read again. */
  const leftOut = new Set<string>();
  const file = ({ namespace, name }: ResourceName, ending: string): string =>
    join(folder, namespace, `${name}${ending}`);

  async function get(name: ResourceName): Promise<SaleResource | undefined> {
    const [path, mark] = [file(name, '.yaml'), file(name, '.deleted')];
    try {
      // The mark first: it is the last to go.
      const deleting = (await statOf(mark)) !== undefined;
      const text = await readFile(path, 'utf8');
      const status = await readStatus(file(name, '.status.json'), onUnreadable);
      return { namespace: name.namespace, name: name.name, text, status, deleting };
    } catch (error) {
      if (!isMissing(error)) {
        onUnreadable(path, error);
        throw error;
      }
      // A crash while a resource was removed may leave its mark: it must not delete the next one of that name.
      await rm(mark, { force: true });
      return undefined;
    }
  }

  return {
    get,
    async list() {
      const found: SaleResource[] = [];
      leftOut.clear();
      for (const name of await namesIn(folder)) {
        const resource = await get(name).catch(() => void leftOut.add(keyOf(name)));
        if (resource) found.push(resource);
      }
      return found;
    },
    watch(onChange) {
      const watcher = watch(folder, { recursive: true }, (_event, path) => {
        const [, namespace, name] = /^([^/]+)\/([^/]+)\.(?:yaml|deleted)$/.exec(path ?? '') ?? [];
        // Our own status writes are no change of a resource.
        if (namespace !== undefined && name !== undefined) onChange({ namespace, name });
      });
      // What is lost with it, the comparison finds.
      watcher.on('error', () => watcher.close());
      const comparison = new Comparison(folder, leftOut, onChange);
      return () => {
        watcher.close();
        comparison.stop();
      };
    },
    // A document is marked for its deletion, and stays.
    claim: () => Promise.resolve(),
    async writeStatus(resource, status) {
      const target = file(resource, '.status.json');
      // On the disk before it counts: an epoch in it may be used right after.
      await writeFile(`${target}.new`, `${JSON.stringify(status, undefined, 2)}\n`, { flush: true });
      await rename(`${target}.new`, target);
    },
    async remove(resource) {
      // The status first and the mark last: after a crash in between, what is left asks for its removal again.
      for (const ending of ['.status.json', '.yaml', '.deleted']) await rm(file(resource, ending), { force: true });
    },
  };
}

/** Whatever has a document or a mark. */
async function namesIn(folder: string): Promise<ResourceName[]> {
  await mkdir(folder, { recursive: true });
  const namespaces = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const found = namespaces.map(async ({ name: namespace }) => {
    const files = await readdir(join(folder, namespace));
    const names = files.flatMap((file) => /^(.+)\.(?:yaml|deleted)$/.exec(file)?.[1] ?? []);
    return [...new Set(names)].sort().map((name) => ({ namespace, name }));
  });
  return (await Promise.all(found)).flat();
}

/** What changes with each change of a document, by key. */
async function stampsIn(folder: string): Promise<Map<string, string>> {
  const stamps = new Map<string, string>();
  for (const resource of await namesIn(folder)) {
    const path = join(folder, keyOf(resource));
    const [document, mark] = await Promise.all([statOf(`${path}.yaml`), statOf(`${path}.deleted`)]);
    stamps.set(keyOf(resource), [document?.ino, document?.mtimeMs, document?.size, mark !== undefined].join(' '));
  }
  return stamps;
}

/** Tells of what differs from one look to the next, and once of what could not be read. */
class Comparison {
  readonly #folder: string;
  readonly #leftOut: Set<string>;
  readonly #onChange: (changed: ResourceName) => void;
  #seen: ReadonlyMap<string, string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(folder: string, leftOut: Set<string>, onChange: (changed: ResourceName) => void) {
    this.#folder = folder;
    this.#leftOut = leftOut;
    this.#onChange = onChange;
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #look(): void {
    void this.#compare()
      // The folder may be away for a while; the passes say so.
      .catch(() => undefined)
      .then(() => {
        if (!this.#stopped) this.#timer = setTimeout(() => this.#look(), COMPARE_MS);
      });
  }

  async #compare(): Promise<void> {
    const now = await stampsIn(this.#folder);
    const before = this.#seen;
    this.#seen = now;
    if (!before || this.#stopped) return;
    const keys = new Set([...before.keys(), ...now.keys()]);
    for (const key of keys) {
      const wasLeftOut = this.#leftOut.delete(key);
      if (wasLeftOut || before.get(key) !== now.get(key)) this.#onChange(nameOf(key));
    }
  }
}

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** A torn status counts as lost: Redis, ledger and log know what must not be forgotten. Throws where none can be read. */
async function readStatus(
  path: string,
  onUnreadable: (path: string, error: unknown) => void,
): Promise<SaleStatus | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof found !== 'object' || found === null) throw new TypeError('a status is an object');
    return { ...newStatus, ...found };
  } catch (error) {
    if (isMissing(error)) return undefined;
    // Refused by the file system: it may be sound, and read the next time.
    if (error instanceof Error && 'code' in error) throw error;
    onUnreadable(path, error);
    return undefined;
  }
}
