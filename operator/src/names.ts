/** Which resource has each name. Stock and ledger know a sale by its name alone, whatever its namespace. */
import { isFinal, type SaleProblem } from '@flashsale/sale';
import { keyOf, type ResourceName } from './resources.ts';
import type { SaleStatus } from './status.ts';

interface Claim extends ResourceName {
  readonly rank: number;
}

/** The owner of a name is the resource whose sale has begun, else the one that was known first. */
export class Names {
  /** By name, then by key in the order in which they became known. */
  readonly #claims = new Map<string, Map<string, Claim>>();

  /** Takes in what the status of a resource says. Returns whom it concerns: all of that name, where its owner changed. */
  set({ namespace, name }: ResourceName, status: SaleStatus | undefined): ResourceName[] {
    const claims = this.#claims.get(name) ?? new Map<string, Claim>();
    this.#claims.set(name, claims);
    const claim = { namespace, name, rank: rankOf(status) };
    return this.#change(name, claims, () => claims.set(keyOf(claim), claim));
  }

  /** Forgets a resource that is gone. Returns whom that concerns. */
  drop(resource: ResourceName): ResourceName[] {
    const claims = this.#claims.get(resource.name);
    if (!claims) return [];
    return this.#change(resource.name, claims, () => {
      claims.delete(keyOf(resource));
      if (claims.size === 0) this.#claims.delete(resource.name);
    });
  }

  ownerOf(name: string): ResourceName | undefined {
    const claims = [...(this.#claims.get(name)?.values() ?? [])];
    return claims.reduce<Claim | undefined>((owner, one) => (owner && owner.rank >= one.rank ? owner : one), undefined);
  }

  owns(resource: ResourceName): boolean {
    return this.ownerOf(resource.name)?.namespace === resource.namespace;
  }

  /** Why the resource may not be a sale; undefined where the name is its own, or nobody's yet. */
  refusalOf({ namespace, name }: ResourceName): SaleProblem | undefined {
    const owner = this.ownerOf(name);
    if (!owner || owner.namespace === namespace) return undefined;
    const message = `a sale named ${name} is in namespace ${owner.namespace}: choose another name`;
    return { field: 'metadata.name', message };
  }

  #change(name: string, claims: ReadonlyMap<string, Claim>, act: () => void): ResourceName[] {
    const before = this.ownerOf(name)?.namespace;
    act();
    return before === undefined || this.ownerOf(name)?.namespace === before ? [] : [...claims.values()];
  }
}

function rankOf(status: SaleStatus | undefined): number {
  if (!status?.accepted) return 0;
  if (status.epoch === 0) return 1;
  return isFinal(status.phase) ? 2 : 3;
}
