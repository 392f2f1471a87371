/** The domain of a flash sale. Pure: imports nothing outside this folder. */
export * from './by-shard.ts';
export * from './decide.ts';
export * from './duration.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './existence.ts';
export * from './hold-codec.ts';
export * from './keys.ts';
export * from './money.ts';
export * from './outcome.ts';
export * from './phase.ts';
export * from './ports.ts';
export * from './purchase-id.ts';
export * from './purchase.ts';
export * from './readiness.ts';
export * from './spec.ts';
export * from './types.ts';
