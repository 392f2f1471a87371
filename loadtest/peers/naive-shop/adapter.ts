/** The worked example of an adapter: for the naive shop beside it. */
import { ask, json, type Adapter } from '../adapter.ts';

export const adapter: Adapter = {
  name: 'naive shop',

  async prepare(shop, { name, stock }, signal) {
    await ask(shop, { method: 'PUT', path: `/drops/${name}`, ...json({ stock }) }, signal);
  },

  // Its tokens are the buyers' numbers.
  tokens: (_shop, { buyers }) => Promise.resolve(Array.from({ length: buyers }, (_, i) => `buyer-${i}`)),

  buy: ({ name }, token) => ({ method: 'POST', path: `/drops/${name}/buy`, headers: { authorization: token } }),

  outcome(status) {
    if (status === 200) return 'bought';
    return status === 409 ? 'turnedAway' : 'failed';
  },

  async sold(shop, { name }, signal) {
    const text = await ask(shop, { method: 'GET', path: `/drops/${name}` }, signal);
    return (JSON.parse(text) as { sold: number }).sold;
  },
};
