/** Pub/Sub of the simulated Redis: at most once, in order for each process, lost while a process is cut off. */
import type { Life } from '../life.ts';
import type { Network } from '../network.ts';

export interface Listener {
  onMessage(text: string): void;
  onReset(): void;
}

interface Subscription {
  readonly life: Life;
  readonly channel: string;
  readonly listener: Listener;
}

export class PubSub {
  readonly #network: Network;
  #subscriptions: Subscription[] = [];
  readonly #deliveredAt = new WeakMap<Life, number>();

  constructor(network: Network) {
    this.#network = network;
  }

  subscribe(life: Life, channel: string, listener: Listener): void {
    this.#subscriptions.push({ life, channel, listener });
  }

  unsubscribe(life: Life, channel: string, listener: Listener): void {
    this.#subscriptions = this.#subscriptions.filter(
      (one) => one.life !== life || one.channel !== channel || one.listener !== listener,
    );
  }

  publish(channel: string, text: string): number {
    const { scheduler, hooks } = this.#network;
    this.#subscriptions = this.#subscriptions.filter(({ life }) => life.alive);
    const heard = this.#subscriptions.filter((one) => one.channel === channel && !hooks.isCut(one.life.name, 'redis'));
    for (const { life, listener } of heard) {
      const at = Math.max(this.#deliveredAt.get(life) ?? 0, scheduler.now + this.#network.latency(life));
      this.#deliveredAt.set(life, at);
      scheduler.after(at - scheduler.now, life, () => listener.onMessage(text));
    }
    return heard.length;
  }

  /** The process' subscriptions were interrupted, and are there again. */
  reset(process: string): void {
    for (const { life, listener } of this.#subscriptions) {
      if (life.name === process && life.alive) this.#network.scheduler.after(0, life, () => listener.onReset());
    }
  }
}
