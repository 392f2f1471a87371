/** Which objectives a run held: by k6's summary, and by what the platform says of itself. */
import { isHeld, isPlatformMetric, parseRule, type Objective, type PlatformMetric } from './slo.ts';

/** The part of k6's summary (`handleSummary`) that is read here. */
export interface K6Summary {
  readonly metrics: Readonly<Record<string, { readonly values: Readonly<Record<string, number>> } | undefined>>;
}

export interface Verdict extends Objective {
  /** Undefined: nothing was measured, and the objective counts as missed. */
  readonly value: number | undefined;
  readonly held: boolean;
}

/** What the platform itself told after the run; what is undefined was not to be had. */
export type PlatformFigures = Readonly<Partial<Record<PlatformMetric, number | undefined>>>;

export function judge(objectives: readonly Objective[], summary: K6Summary, platform: PlatformFigures): Verdict[] {
  return objectives.map((objective) => {
    const { metric, rule } = objective;
    const value = isPlatformMetric(metric) ? platform[metric] : measured(metric, rule, summary);
    return { ...objective, value, held: value !== undefined && isHeld(rule, value) };
  });
}

/**
 * The value that the rule is about. K6 holds a threshold of a metric without samples to be kept (p(99) is then 0), which
 * proves nothing: here it is undefined. A count without samples is 0, though.
 */
function measured(metric: string, rule: string, { metrics }: K6Summary): number | undefined {
  const values = metrics[metric]?.values ?? {};
  const { of } = parseRule(rule);
  if (of === 'count') return values['count'] ?? 0;
  const samples = of === 'rate' ? (values['passes'] ?? 0) + (values['fails'] ?? 0) : (values['count'] ?? 0);
  return samples > 0 ? values[of] : undefined;
}
