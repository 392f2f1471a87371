/** The declared demand, then half more of it, then the demand again. */
import { optionsFor } from './plan.ts';

export { arrive, handleSummary, settle } from './buyer.ts';

export const options = optionsFor('arrive');
