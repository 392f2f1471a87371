/** The domain of a flash sale. Pure: imports nothing outside this folder. */
export * from './errors.ts';
export * from './events.ts';
export * from './keys.ts';
export * from './money.ts';
export * from './outcome.ts';
export * from './ports.ts';
export * from './purchase-id.ts';
export * from './types.ts';
