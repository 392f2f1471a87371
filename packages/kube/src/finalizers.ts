/** Finalizers, added and removed so that no change of somebody else is lost. */
import type { KubeObject } from './object.ts';
import type { JsonPatch, ResourceApi } from './ports.ts';

export function hasFinalizer({ metadata }: KubeObject, name: string): boolean {
  return metadata.finalizers?.includes(name) ?? false;
}

/** Returns the object with the finalizer. Throws a conflict (409) where the object is not as given any more. */
export async function addFinalizer<T extends KubeObject>(api: ResourceApi<T>, object: T, name: string): Promise<T> {
  if (hasFinalizer(object, name)) return object;
  return write(api, object, [...(object.metadata.finalizers ?? []), name]);
}

/**
 * Removes the finalizer; the object may be gone then. Throws a conflict (409) where the object is not as given any
 * more.
 */
export async function removeFinalizer<T extends KubeObject>(api: ResourceApi<T>, object: T, name: string): Promise<T> {
  if (!hasFinalizer(object, name)) return object;
  return write(
    api,
    object,
    (object.metadata.finalizers ?? []).filter((other) => other !== name),
  );
}

function write<T extends KubeObject>(api: ResourceApi<T>, object: T, finalizers: readonly string[]): Promise<T> {
  const patch: JsonPatch[] = [
    // Not `test`: a patch that sets the version is refused as a conflict, a failed test as invalid (422).
    { op: 'replace', path: '/metadata/resourceVersion', value: object.metadata.resourceVersion },
    { op: 'add', path: '/metadata/finalizers', value: finalizers },
  ];
  return api.jsonPatch(object.metadata, patch);
}
