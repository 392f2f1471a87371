/** The Lease object of coordination.k8s.io/v1, as leader election uses it. */
import type { KubeObject, ObjectName, Resource } from './object.ts';

export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export interface LeaseSpec {
  /** Absent or empty: nobody holds it. */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  /** MicroTime. For people: the engine measures by its own clock. */
  readonly acquireTime?: string;
  readonly renewTime?: string;
  /** How often the holder changed since the lease was made. */
  readonly leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

/** What leader election needs of the API. A call may have been carried out although it threw. */
export interface LeaseApi {
  get(name: ObjectName): Promise<Lease>;
  create(lease: Lease): Promise<Lease>;
  /** Refused with 409 where the lease is not of the given resource version any more. */
  replace(lease: Lease): Promise<Lease>;
}

/** RFC 3339 with microseconds, which the API asks for. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
