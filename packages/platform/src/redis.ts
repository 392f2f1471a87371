/** Everything that talks to Redis: the connection, the sale store, signals, tickets and presence. */
export { connectRedis, type RedisConnection } from './redis-connection.ts';
export { createSaleStore } from './redis-sale-store.ts';
export { createPresence, createSignals } from './redis-signals.ts';
export { createTickets } from './redis-tickets.ts';
