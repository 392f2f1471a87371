/** One sale of the churn, as its owner, another field manager and its buyers see it; and what must have become of it. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from '@flashsale/kube/api-error';
import type { ResourceApi } from '@flashsale/kube/ports';
import { purchaseId, type PublishedSale, type SaleStore } from '@flashsale/sale';
import { documentOf, SKU } from '../world.fixture.ts';
import type { Action, Edit, Plan } from './churn-plan.fixture.ts';
import type { Expected, Spec } from './churn-verdict.fixture.ts';
import type { FlashSaleObject } from './resources.ts';

export interface Stage {
  readonly namespace: string;
  readonly owner: ResourceApi<FlashSaleObject>;
  readonly other: ResourceApi<FlashSaleObject>;
  readonly store: SaleStore;
  /** The sale as buyers know it. */
  readonly published: (name: string) => PublishedSale | undefined;
  /** When the run began, Unix ms. */
  readonly began: number;
}

/** Each is refused whatever the sale is doing. */
const INVALID: readonly ((spec: Spec) => readonly [change: object, words: RegExp])[] = [
  ({ opensAt }) => [{ closesAt: opensAt }, /write a time after opensAt/],
  ({ items: [item] }) => [{ items: [item, item] }, /Duplicate value|a sku is in the list already/],
  ({ items: [item] }) => [{ items: [{ ...item, stock: 0 }] }, /items\[0\]\.stock/],
  ({ items: [item] }) => [{ items: [{ ...item, perBuyer: 0 }] }, /items\[0\]\.perBuyer/],
];
/** What may be said to an edit that is good, but not where the sale stands. */
const NOT_NOW = /keep .*: the sale is|write at least/;
const LONGEST_MS = 90_000;
const NAP_MS = 100;
/** A server that is busy, or an answer that was lost. */
const TRIES = 20;

export class ChurnedSale {
  readonly plan: Plan;
  readonly bought = new Set<string>();
  readonly refusals = { expected: 0, notNow: 0 };
  /** It was bought from in an earlier life: its name is taken. */
  #nameTaken = false;
  /** As the server gave it back when it was written last: by the owner alone. */
  #spec: Spec | undefined;
  #generation = 0;
  #labels: Record<string, string> = {};
  #note = '';
  #buyers = 0;
  readonly #stage: Stage;

  constructor(plan: Plan, stage: Stage) {
    this.plan = plan;
    this.#stage = stage;
  }

  get name(): string {
    return this.plan.name;
  }

  async live(): Promise<void> {
    await this.#at(this.plan.applyAt);
    await this.#apply();
    for (const { at, action } of this.plan.steps) {
      await this.#at(at);
      await this.#act(action);
    }
  }

  async #at(ms: number): Promise<void> {
    await pause(Math.max(0, this.#stage.began + ms - Date.now()));
  }

  async #apply(): Promise<void> {
    const { opensIn, openFor, stock } = this.plan;
    const opensAt = Date.now() + opensIn;
    const { spec } = documentOf(this.name, { opensAt, closesAt: opensAt + openFor }, this.#stage.namespace);
    const [item] = spec.items;
    assert.ok(item);
    const first = { ...spec, paused: false, items: [{ ...item, stock, title: 'shoe' }] as const };
    this.#labels = { team: 'owner', app: this.name };
    this.#note = '';
    this.#generation = 0;
    await this.#write(first);
  }

  /** All of the document, as `kubectl apply --server-side --force-conflicts` does. */
  async #write(spec: Spec): Promise<string | undefined> {
    const { namespace, owner } = this.#stage;
    const labels = { team: 'owner', app: this.name };
    const metadata = { name: this.name, namespace, labels };
    const answer = await asked(() => owner.apply({ metadata, spec }));
    if (answer instanceof ApiError) return answer.message;
    this.#labels = { ...this.#labels, ...labels };
    this.#spec = answer.spec as Spec;
    const generation = answer.metadata.generation ?? 0;
    assert.ok(generation - this.#generation <= 1, `${this.name}: only its owner writes its spec`);
    this.#generation = generation;
    return undefined;
  }

  async #act(action: Action): Promise<void> {
    if (action.do === 'delete') return this.#delete();
    if (action.do === 'anew') return this.#anew();
    if (action.do === 'buy') return this.#buy(action.by);
    if (action.do === 'label') return this.#label(action.by, action.value);
    const spec = this.#spec;
    assert.ok(spec);
    if (action.do === 'invalid') return this.#refused(spec, action.which);
    const refusal = await this.#write(edited(spec, action));
    if (refusal === undefined) return;
    assert.match(refusal, NOT_NOW, this.name);
    this.refusals.notNow += 1;
  }

  async #refused(spec: Spec, which: number): Promise<void> {
    const [change, words] = INVALID[which % INVALID.length]?.(spec) ?? [{}, /^$/];
    const at = { name: this.name, namespace: this.#stage.namespace };
    const answer = await asked(() => this.#stage.owner.mergePatch(at, { spec: change }));
    assert.match(answer instanceof ApiError ? answer.message : 'accepted', words, this.name);
    this.refusals.expected += 1;
  }

  async #label(by: 'owner' | 'other', value: string): Promise<void> {
    const { namespace, owner, other } = this.#stage;
    const at = { name: this.name, namespace };
    if (by === 'owner') {
      // `kubectl label`: beside what is applied.
      await done(() => owner.mergePatch(at, { metadata: { labels: { team: value } } }));
      this.#labels['team'] = value;
      return;
    }
    const labels = { team: value, wave: value };
    await done(() => other.apply({ metadata: { ...at, labels, annotations: { 'test/note': value } } }));
    this.#labels = { ...this.#labels, ...labels };
    this.#note = value;
  }

  /** By so many different buyers; one that got no answer asks again with the same id. */
  async #buy(buyers: number): Promise<void> {
    const sale = this.#stage.published(this.name);
    if (!sale) return;
    for (let n = 0; n < buyers; n += 1) {
      const number = (this.#buyers += 1);
      const shard = number % sale.warm.shards;
      const id = purchaseId(this.name, shard, String(number).padStart(22, '0'));
      const request = { id, buyer: { id: `b-${number}`, number }, quantity: 1, correlationId: id };
      const [answer] = await done(() =>
        this.#stage.store.reserve(sale, { sale: this.name, shard, sku: SKU }, [request]),
      );
      if (answer?.code === 'reserved' || answer?.code === 'replayed') this.bought.add(id);
    }
  }

  async #delete(): Promise<void> {
    const { namespace, owner } = this.#stage;
    const at = { name: this.name, namespace };
    await asked(() => owner.remove(at).then(() => ({ metadata: at })));
    this.#spec = undefined;
  }

  async #anew(): Promise<void> {
    const { namespace, owner } = this.#stage;
    const at = { name: this.name, namespace };
    await this.#delete();
    const deadline = Date.now() + LONGEST_MS;
    while (!isGone(await asked(() => owner.get(at)))) {
      assert.ok(Date.now() < deadline, `${this.name} is still there`);
      await pause(NAP_MS);
    }
    this.#nameTaken ||= this.bought.size > 0;
    await this.#apply();
  }

  /** What must be so by now. */
  expected(): Expected | undefined {
    if (!this.#spec) return undefined;
    return {
      kind: this.plan.kind,
      spec: this.#spec,
      generation: this.#generation,
      labels: this.#labels,
      note: this.#note,
      sold: this.#nameTaken ? 0 : this.bought.size,
      nameTaken: this.#nameTaken,
    };
  }
}

function edited(spec: Spec, action: Edit): Spec {
  const [item] = spec.items;
  const later = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString();
  switch (action.do) {
    case 'stock':
      return { ...spec, items: [{ ...item, stock: Math.max(1, item.stock + action.by) }] };
    case 'price':
      return { ...spec, items: [{ ...item, price: { ...item.price, amount: `${action.by}.50` } }] };
    case 'title':
      return { ...spec, items: [{ ...item, title: action.title }] };
    case 'pause':
      return { ...spec, paused: action.paused };
    case 'move':
      return { ...spec, opensAt: later(spec.opensAt, action.by), closesAt: later(spec.closesAt, action.by) };
  }
}

const isGone = (answer: FlashSaleObject | ApiError): boolean => answer instanceof ApiError && answer.code === 404;

/** The answer, or the refusal. Asks again where the server was busy, or where nobody knows whether it was done. */
async function asked(call: () => Promise<FlashSaleObject>): Promise<FlashSaleObject | ApiError> {
  return done(async () => {
    try {
      return await call();
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.code >= 400 && error.code < 500;
      if (!isRefusal || error.code === 409 || error.code === 429) throw error;
      return error;
    }
  });
}

async function done<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      if (tries === TRIES) throw error;
      await pause(NAP_MS * tries);
    }
  }
}
