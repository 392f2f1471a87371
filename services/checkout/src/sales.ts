/** `GET /api/v1/sales` and `GET /api/v1/sales/{sale}`: what is on sale, how much is left, and what time it is. */
import { Router } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import { bearerToken, type TokenVerifier } from '@flashsale/platform/oidc';
import { decimalAmount, type SaleInspection, type SaleStore } from '@flashsale/sale';
import type { ListedSale, SaleDirectory } from './sale-directory.ts';

/** However many ask, Redis is asked this often a sale at most. In ms. */
const FRESH_MS = 200;

export interface SalesOptions {
  readonly directory: SaleDirectory;
  readonly store: Pick<SaleStore, 'inspect'>;
  readonly verifier: Pick<TokenVerifier, 'verify'>;
  readonly log: Logger;
}

interface Cached {
  inspection: SaleInspection | undefined;
  askedAt: number;
  asking: Promise<SaleInspection | undefined> | undefined;
}

export function salesRoutes(options: SalesOptions): Router {
  const { directory, verifier } = options;
  const remaining = new Remaining(options);
  const router = Router();
  router.get('/api/v1/sales', async (_req, res) => {
    const sales = await Promise.all([...directory.all()].map((listed) => view(listed, directory, remaining)));
    res.json(sales);
  });
  router.get('/api/v1/sales/:sale', async (req, res) => {
    if (req.headers.authorization !== undefined) await greet(verifier, req.headers.authorization);
    res.json(await view(directory.find(req.params.sale), directory, remaining));
  });
  return router;
}

/**
 * Who looks at a sale with a token is about to buy: the token is verified now and remembered, so that the purchase need
 * not wait for it. A token that is not valid is no reason to hide what everybody may see.
 */
export async function greet(verifier: Pick<TokenVerifier, 'verify'>, authorization: string): Promise<void> {
  try {
    await verifier.verify(bearerToken(authorization));
  } catch {
    // The purchase will say what is wrong with it.
  }
}

async function view(listed: ListedSale, directory: SaleDirectory, remaining: Remaining): Promise<object> {
  const { sale } = listed;
  const inspection = await remaining.of(listed);
  return {
    name: sale.name,
    phase: sale.phase,
    opensAt: new Date(sale.opensAt).toISOString(),
    closesAt: new Date(sale.closesAt).toISOString(),
    now: new Date(directory.clock.now()).toISOString(),
    items: sale.items.map((item) => ({
      sku: item.sku,
      title: item.title,
      price: { amount: decimalAmount(item.price.minor, item.price.currency), currency: item.price.currency },
      stock: item.stock,
      // Before the stock is in Redis all of it remains. Once it was there and cannot be read, the last that was known.
      remaining: inspection?.items.get(item.sku)?.free ?? item.stock,
      perBuyer: item.perBuyer,
    })),
  };
}

/** Free units by sale, as old as `FRESH_MS` at most while Redis answers, and as they last were while it does not. */
class Remaining {
  readonly #options: SalesOptions;
  readonly #cache = new WeakMap<ListedSale, Cached>();

  constructor(options: SalesOptions) {
    this.#options = options;
  }

  of(listed: ListedSale): Promise<SaleInspection | undefined> {
    let cached = this.#cache.get(listed);
    if (!cached) {
      cached = { inspection: undefined, askedAt: -Infinity, asking: undefined };
      this.#cache.set(listed, cached);
    }
    if (performance.now() - cached.askedAt < FRESH_MS) return cached.asking ?? Promise.resolve(cached.inspection);
    return (cached.asking ??= this.#ask(listed, cached));
  }

  async #ask(listed: ListedSale, cached: Cached): Promise<SaleInspection | undefined> {
    cached.askedAt = performance.now();
    try {
      cached.inspection = (await this.#options.store.inspect(listed.sale)) ?? cached.inspection;
    } catch (error) {
      this.#options.log.warn({ err: error, sale: listed.sale.name }, 'cannot read what remains');
    } finally {
      cached.asking = undefined;
    }
    return cached.inspection;
  }
}
