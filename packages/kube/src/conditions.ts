/** `metav1.Condition`: what is true of an object, since when, and for which generation of its spec. */

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase, for programs. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** When `status` last changed, RFC 3339. */
  readonly lastTransitionTime: string;
  /** `metadata.generation` that it was found for. */
  readonly observedGeneration: number;
}

export type Finding = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/**
 * The conditions with `finding` taken in. Its time of transition moves only where the status changed; where nothing
 * changed the very same array comes back, so that no write is needed.
 */
export function setCondition(
  conditions: readonly Condition[],
  finding: Finding,
  generation: number,
  now: Date,
): readonly Condition[] {
  const before = conditions.find(({ type }) => type === finding.type);
  const same = before?.status === finding.status;
  const lastTransitionTime = same ? before.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, 'Z');
  const after: Condition = { ...finding, lastTransitionTime, observedGeneration: generation };
  if (before === undefined) return [...conditions, after];
  const unchanged =
    same &&
    before.reason === after.reason &&
    before.message === after.message &&
    before.observedGeneration === generation;
  return unchanged ? conditions : conditions.map((one) => (one === before ? after : one));
}

export function isTrue(conditions: readonly Condition[], type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}
