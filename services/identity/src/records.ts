/** What oidc-provider remembers (sessions, interactions, grants, codes, tokens), in one table of PostgreSQL. */
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Prisma, PrismaClient } from './generated/prisma/client.ts';

interface Row {
  readonly payload: unknown;
  readonly consumedAt: Date | null;
}

export function recordAdapter(database: PrismaClient): AdapterFactory {
  return (model) => createAdapter(database, model);
}

function createAdapter(database: PrismaClient, model: string): Adapter {
  const find = async (where: Prisma.OidcRecordWhereInput): Promise<AdapterPayload | undefined> => {
    const alive = { OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }] };
    const row = await database.oidcRecord.findFirst({ where: { AND: [{ model }, where, alive] } });
    return row ? toPayload(row) : undefined;
  };
  return {
    async upsert(id, payload, expiresIn) {
      const data = {
        payload: payload as Prisma.InputJsonObject,
        grantId: payload.grantId ?? null,
        uid: payload.uid ?? null,
        userCode: payload.userCode ?? null,
        expiresAt: expiresIn === undefined ? null : new Date(Date.now() + expiresIn * 1000),
      };
      await database.oidcRecord.upsert({
        where: { model_id: { model, id } },
        create: { model, id, ...data },
        update: data,
      });
    },
    find: (id) => find({ id }),
    findByUid: (uid) => find({ uid }),
    findByUserCode: (userCode) => find({ userCode }),
    async consume(id) {
      // The provider looks and then consumes: of two that looked at the same time, only one may go on.
      const { count } = await database.oidcRecord.updateMany({
        where: { model, id, consumedAt: null },
        data: { consumedAt: new Date() },
      });
      if (count === 0) throw new errors.InvalidGrant(`${model} already consumed`);
    },
    async destroy(id) {
      await database.oidcRecord.deleteMany({ where: { model, id } });
    },
    async revokeByGrantId(grantId) {
      await database.oidcRecord.deleteMany({ where: { model, grantId } });
    },
  };
}

function toPayload(row: Row): AdapterPayload {
  const payload = row.payload as AdapterPayload;
  return row.consumedAt ? { ...payload, consumed: Math.floor(row.consumedAt.getTime() / 1000) } : payload;
}

/** Removes up to `limit` expired records, oldest first. Returns how many there were. */
export async function removeExpired(database: PrismaClient, limit: number): Promise<number> {
  const due = await database.oidcRecord.findMany({
    where: { expiresAt: { lte: new Date() } },
    orderBy: { expiresAt: 'asc' },
    select: { model: true, id: true },
    take: limit,
  });
  if (due.length === 0) return 0;
  const { count } = await database.oidcRecord.deleteMany({ where: { OR: due } });
  return count;
}
