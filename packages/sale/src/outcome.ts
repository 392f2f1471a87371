/**
 * The small codes that the Lua scripts return, mapped once to names.
 * The scripts use the numbers; a test checks that both lists are the same.
 */

/** `reserve`: one code a purchase of the batch. Negative: nothing was done. */
export const RESERVE = {
  /** A unit is held for the buyer. */
  reserved: 1,
  /** The same purchase id was here before with the same body: its hold, as it is now. */
  replayed: 2,
  /** This shard has too few free units; other shards may have some. */
  shardEmpty: -1,
  limitReached: -2,
  notOpen: -3,
  closed: -4,
  paused: -5,
  /** The purchase id was used before with another sku or quantity. */
  keyReused: -6,
  notEligible: -7,
  /** Keys are missing: the shard was never warmed, or Redis lost it. Fail closed. */
  notWarm: -8,
  /** The caller's epoch is not the shard's: read the published sale again. */
  wrongEpoch: -9,
} as const;
export type ReserveCode = keyof typeof RESERVE;

/** `settle` and `release`: one code a purchase. */
export const RESOLVE = {
  /** Done now. */
  done: 1,
  /** It already was in that state: nothing was done again. */
  already: 2,
  /** The hold ended in another final state first (expired, refused, …). */
  otherwise: -1,
  /** No such hold in this epoch. */
  missing: -2,
  /** `expired` was asked before the hold's time. */
  notDue: -3,
  notWarm: -8,
  /** The request comes from a later epoch than the shard's: this Redis has lost writes. */
  wrongEpoch: -9,
} as const;
export type ResolveCode = keyof typeof RESOLVE;
