/** The `behavior` of a HorizontalPodAutoscaler and what its controller remembers: parsed, with the defaults filled in. */
import { z } from 'zod';

/** The HPA leaves replicas alone while usage is within 10 % of the target (`--horizontal-pod-autoscaler-tolerance`). */
export const TOLERANCE = 0.1;

const INT32_MAX = 2 ** 31 - 1;
const QUANTITY = /^\+?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+)|([num]))?$/;
const SUFFIX = { n: -9, u: -6, m: -3 } as const;

// Bounds: kubernetes pkg/apis/autoscaling/validation/validation.go (validateScalingRules, validateScalingPolicy).
const policy = z.strictObject({
  type: z.enum(['Pods', 'Percent']),
  value: z.int().min(1).max(INT32_MAX),
  periodSeconds: z.int().min(1).max(1800),
});
const tolerance = z
  .union([z.number(), z.string()])
  .transform(String)
  .pipe(z.string().regex(QUANTITY, 'must be a quantity of 0 or more, as 0.05 or "50m"'))
  .transform(quantity);
const rules = z.strictObject({
  stabilizationWindowSeconds: z.int().min(0).max(3600).nullish(),
  selectPolicy: z.enum(['Max', 'Min', 'Disabled']).nullish(),
  policies: z.array(policy).min(1, 'must have at least one policy').nullish(),
  tolerance: tolerance.nullish(),
});
const secondsAgo = z.number().min(0);
const schema = z.object({
  behavior: z.strictObject({ scaleUp: rules.nullish(), scaleDown: rules.nullish() }).nullish(),
  history: z
    .strictObject({
      recommendations: z.array(z.strictObject({ secondsAgo, replicas: z.int().min(0).max(INT32_MAX) })).nullish(),
      scaled: z
        .array(
          z.strictObject({
            secondsAgo,
            change: z
              .int()
              .min(-INT32_MAX)
              .max(INT32_MAX)
              .refine((change) => change !== 0, 'must be above 0 (up) or below 0 (down)'),
          }),
        )
        .nullish(),
    })
    .nullish(),
});

/** As in autoscaling/v2; an absent field has the default of Kubernetes. */
export type HpaBehavior = NonNullable<z.input<typeof schema>['behavior']>;

export interface HpaHistory {
  /** What the metric asked for at the passes before: ahead of windows, rates, min and max. */
  readonly recommendations?: readonly { readonly secondsAgo: number; readonly replicas: number }[] | null;
  /** What was added (above 0) or taken away (below 0) at them. */
  readonly scaled?: readonly { readonly secondsAgo: number; readonly change: number }[] | null;
}

type Given = NonNullable<NonNullable<z.output<typeof schema>['behavior']>['scaleUp']>;
export type HpaRules = { readonly [field in keyof Given]-?: NonNullable<Given[field]> };

/** A behaviour without gaps, and its history. */
export interface HpaPace {
  readonly up: HpaRules;
  readonly down: HpaRules;
  readonly recommendations: readonly { readonly secondsAgo: number; readonly replicas: number }[];
  readonly scaled: readonly { readonly secondsAgo: number; readonly change: number }[];
}

// Source: kubernetes pkg/apis/autoscaling/v2/defaults.go; the window down is the controller's
// `--horizontal-pod-autoscaler-downscale-stabilization`, 5 minutes unless it was told otherwise.
const UP: HpaRules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
  tolerance: TOLERANCE,
};
const DOWN: HpaRules = {
  stabilizationWindowSeconds: 300,
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
  tolerance: TOLERANCE,
};

interface Asked {
  readonly id: string;
  readonly mode?: string;
  readonly behavior?: HpaBehavior | null;
  readonly history?: HpaHistory | null;
}

/** Undefined without a `behavior`. Throws RangeError naming case and field where Kubernetes would refuse it. */
export function paceOf({ id, mode, behavior, history }: Asked): HpaPace | undefined {
  const parsed = schema.safeParse({ behavior, history });
  if (!parsed.success) throw new RangeError(`case ${id}: ${parsed.error.issues.map(described).join('; ')}`);
  const given = parsed.data.behavior;
  if (given === undefined || given === null) return undefined;
  if (mode !== 'keda') throw new RangeError(`case ${id}: behavior is the HPA's, so it needs mode "keda"`);
  return {
    up: filled(given.scaleUp, UP),
    down: filled(given.scaleDown, DOWN),
    recommendations: parsed.data.history?.recommendations ?? [],
    scaled: parsed.data.history?.scaled ?? [],
  };
}

/** Field by field, as copyHPAScalingRules: a list of policies replaces the default list. */
function filled(given: Given | null | undefined, defaults: HpaRules): HpaRules {
  return {
    stabilizationWindowSeconds: given?.stabilizationWindowSeconds ?? defaults.stabilizationWindowSeconds,
    selectPolicy: given?.selectPolicy ?? defaults.selectPolicy,
    policies: given?.policies ?? defaults.policies,
    tolerance: given?.tolerance ?? defaults.tolerance,
  };
}

/** As Quantity.AsApproximateFloat64 of apimachinery: the digits as one whole number, times a power of ten. */
function quantity(text: string): number {
  const [, whole = '', fraction = '', exponent = '0', suffix] = QUANTITY.exec(text) ?? [];
  const scale = suffix === undefined ? Number(exponent) : SUFFIX[suffix as keyof typeof SUFFIX];
  return Number(whole + fraction) * Number(`1e${scale - fraction.length}`);
}

function described({ path, message }: z.core.$ZodIssue): string {
  return `${path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('')}: ${message}`;
}
