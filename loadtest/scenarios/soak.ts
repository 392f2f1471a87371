/** A steady stream of buyers, for as long as it takes to see what drifts. */
import { optionsFor } from './plan.ts';

export { arrive, handleSummary, settle } from './buyer.ts';

export const options = optionsFor('arrive');
