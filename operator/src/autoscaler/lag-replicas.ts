/** The autoscaler as a pure function: offsets in, replicas out. docs/autoscaler.md has the rules of both modes. */
import { drainReplicas } from './drain.ts';
import { paceOf } from './hpa-behavior.ts';
import { kedaReplicas } from './keda.ts';
import { settingsOf } from './lag.ts';
import type { LagAnswer, LagCase } from './lag.ts';

export type { HpaBehavior, HpaHistory } from './hpa-behavior.ts';
export type { LagAnswer, LagCase, LagOptions, LagPartition } from './lag.ts';

/** One pass over one case. Throws RangeError, naming the case, where an option or the HPA's behaviour is out of range. */
export function lagReplicas(question: LagCase): LagAnswer {
  const settings = settingsOf(question);
  const pace = paceOf(question);
  return question.mode === 'keda' ? kedaReplicas(question, settings, pace) : drainReplicas(question, settings);
}
