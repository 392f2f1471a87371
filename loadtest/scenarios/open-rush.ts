/** The opening of a sale: many buyers arrive at a fixed rate, each buys once; then each asks again with the same key. */
import { optionsFor } from './plan.ts';

export { arrive, handleSummary, settle } from './buyer.ts';

export const options = optionsFor('arrive');
