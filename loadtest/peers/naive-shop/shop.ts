/**
 * A shop as it is often written first: Express, and stock in Redis that is read, compared and written back. Between the
 * reading and the writing others do the same, so under concurrency it sells more than it has. The harness must see that.
 * `node shop.ts`, with PORT; it brings a Redis of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startRedis } from '@flashsale/local/testing';
import express from 'express';
import { Redis } from 'ioredis';

const dataDir = mkdtempSync(join(tmpdir(), 'naive-shop-'));
const server = await startRedis({ dataDir, port: await freePort(), durable: false });
const redis = new Redis(server.url);
const app = express();

app.put('/drops/:name', express.json(), async (req, res) => {
  await redis.set(`stock:${req.params.name}`, String((req.body as { stock: number }).stock));
  res.sendStatus(204);
});

app.post('/drops/:name/buy', async (req, res) => {
  const { name } = req.params;
  const stock = Number(await redis.get(`stock:${name}`));
  if (stock <= 0) {
    res.sendStatus(409);
    return;
  }
  await redis.set(`stock:${name}`, String(stock - 1));
  await redis.sadd(`sold:${name}`, req.headers.authorization ?? '');
  res.sendStatus(200);
});

app.get('/drops/:name', async (req, res) => {
  res.json({ sold: await redis.scard(`sold:${req.params.name}`) });
});

const http = app.listen(Number(process.env['PORT']), '127.0.0.1');
process.once('SIGTERM', () => {
  http.close();
  http.closeAllConnections();
  redis.disconnect();
  void server.stop().finally(() => rmSync(dataDir, { recursive: true, force: true }));
});
