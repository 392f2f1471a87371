/** Everything that talks to Redis: the connection, the sale store, pages and their locks, signals, tickets and presence. */
export { connectRedis, type RedisConnection } from './redis-connection.ts';
export { createPageCache } from './redis-page-cache.ts';
export { createSaleStore } from './redis-sale-store.ts';
export { createPresence, createSignals } from './redis-signals.ts';
export { createTickets } from './redis-tickets.ts';
