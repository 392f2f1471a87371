/** Carries out the faults of a plan, until it calms down. */
import type { CallFault, Store } from './network.ts';
import type { Fault } from './plan.ts';
import type { World } from './world.ts';

type Of<K extends Fault['kind']> = Extract<Fault, { kind: K }>;

export class FaultPlan {
  readonly #world: World;
  readonly #calls = new Map<string, CallFault>();
  readonly #cuts: Of<'cut'>[] = [];
  readonly #shuffle: number;

  constructor(world: World) {
    this.#world = world;
    const { faults } = world.plan;
    for (const fault of faults)
      if (fault.kind === 'call') this.#calls.set(`${fault.process} ${fault.nth}`, fault.fault);
    this.#shuffle = Math.max(0, ...faults.map((fault) => (fault.kind === 'shuffle' ? fault.share : 0)));
  }

  get #isCalm(): boolean {
    return this.#world.scheduler.now >= this.#world.plan.calmAt;
  }

  begin(): void {
    const { plan, scheduler } = this.#world;
    for (const fault of plan.faults) {
      if ('at' in fault) scheduler.after(fault.at, undefined, () => this.#strike(fault));
    }
    scheduler.after(plan.calmAt, undefined, () => this.#calm());
  }

  faultAt(process: string, nth: number, store: Store['name'], what: string): CallFault | undefined {
    if (this.#isCalm) return undefined;
    const fault = this.#calls.get(`${process} ${nth}`);
    // Only a client of Redis sends a command again by itself.
    return fault === 'twice' && (store !== 'redis' || what === 'SUBSCRIBE') ? undefined : fault;
  }

  isCut(process: string, store: Store['name']): 'refused' | 'silent' | undefined {
    return this.#cuts.find((cut) => cut.process === process && cut.store === store)?.how;
  }

  shuffles(): number {
    return this.#isCalm ? 0 : this.#shuffle;
  }

  #strike(fault: Extract<Fault, { at: number }>): void {
    const { trace, scheduler } = this.#world;
    trace.add(scheduler.now, `FAULT ${JSON.stringify(fault)}`);
    switch (fault.kind) {
      case 'crash':
      case 'stand still':
      case 'clock jump':
        this.#hitProcess(fault);
        break;
      case 'cut':
        this.#cut(fault);
        break;
      case 'failover':
      case 'flush':
        this.#loseWrites(fault);
        break;
      case 'rebalance':
        this.#world.broker.rebalance(fault.group);
        break;
      case 'rewind':
        this.#world.broker.rewind(fault.group, fault.records);
    }
  }

  #hitProcess(fault: Of<'crash'> | Of<'stand still'> | Of<'clock jump'>): void {
    const { lives, scheduler } = this.#world;
    const life = lives.get(fault.process);
    if (!life?.alive) return;
    if (fault.kind === 'crash') this.#world.crash(life, '');
    else if (fault.kind === 'stand still') life.pausedUntil = scheduler.now + fault.forMs;
    else life.clockOff += fault.byMs;
  }

  #cut(fault: Of<'cut'>): void {
    this.#cuts.push(fault);
    this.#world.scheduler.after(fault.forMs, undefined, () => this.#mend(fault));
  }

  #mend(fault: Of<'cut'>): void {
    const at = this.#cuts.indexOf(fault);
    if (at < 0) return;
    this.#cuts.splice(at, 1);
    if (fault.store === 'redis') this.#world.pubSub.reset(fault.process);
  }

  #loseWrites(fault: Of<'failover'> | Of<'flush'>): void {
    const { redis, witnesses, trace, scheduler } = this.#world;
    if (fault.kind === 'flush') {
      redis.data.flush(fault.node);
    } else {
      const lost = redis.data.rollBack(fault.node, fault.writes);
      trace.add(scheduler.now, `${lost} writes are lost`);
    }
    witnesses.lostWrites(fault.node);
  }

  #calm(): void {
    const { lives, trace, scheduler } = this.#world;
    trace.add(scheduler.now, 'nothing goes wrong any more');
    for (const cut of [...this.#cuts]) this.#mend(cut);
    for (const life of lives.values()) life.pausedUntil = 0;
  }
}
