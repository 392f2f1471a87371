/** A storm on hardly any stock: nearly everybody is told that nothing is left. */
import { optionsFor } from './plan.ts';

export { arrive, handleSummary, settle } from './buyer.ts';

export const options = optionsFor('arrive');
