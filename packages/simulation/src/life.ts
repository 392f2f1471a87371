/** One life of a simulated process: from its start to its crash. What a dead one had under way never goes on. */
import type { Random } from './random.ts';

/** Unix ms at which every simulation begins. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

export class Life {
  readonly name: string;
  /** How often the process was started before. */
  readonly number: number;
  readonly random: Random;
  /** When it began, in simulated ms. */
  readonly bornAt: number;
  alive = true;
  /** It stands still until then, in simulated ms: nothing of it goes on, its clocks do. */
  pausedUntil = 0;
  /** How far its wall clock is off, in ms. */
  clockOff = 0;
  /** Called once, when it dies. */
  readonly onDeath: (() => void)[] = [];

  constructor(name: string, number: number, bornAt: number, random: Random) {
    this.name = name;
    this.number = number;
    this.bornAt = bornAt;
    this.random = random;
  }
}
