/** `npm run bench [-- -o json]`: CPU µs of one purchase, in the HTTP server and in Redis. See README.md. */
import { parseArgs } from 'node:util';
import { startTestIssuer } from '@flashsale/checkout/test-issuer';
import { testRedis } from '@flashsale/local/testing';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import { benchHttp, HTTP_VARIANTS, type HttpFigures } from './bench-http.ts';
import { BATCH, benchRedis, REDIS_VARIANTS, type RedisVariant, scriptCalls } from './bench-redis.ts';
import { roundAll, round, table } from './figures.ts';

interface Goal {
  readonly name: string;
  readonly value: number;
  readonly most: number;
}

const { values } = parseArgs({
  options: {
    output: { type: 'string', short: 'o', default: 'table' },
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '2000' },
  },
});
const rounds = Number(values.rounds);
const requests = Number(values.requests);

const redisUrl = await testRedis();
const redis = connectRedis(redisUrl, createLogger('bench', 'error'));
await redis.start();
const issuer = await startTestIssuer();
const store = createSaleStore(redis);
const http = await benchHttp({ redisUrl, issuer, store, scripts: () => scriptCalls(redis), rounds, requests });
const inRedis = await benchRedis({ redis, store, rounds, purchases: 4_000 });
await redis.stop();
await issuer.stop();

const goals = goalsOf(http, inRedis);
process.stdout.write(values.output === 'json' ? asJson() : asTable());
// What started Redis ends it at the exit of this process.
process.exit(0);

function goalsOf(
  { cpu, soldOutScripts, soldOutWindows }: HttpFigures,
  redisCpu: Readonly<Record<RedisVariant, number>>,
): Goal[] {
  return [
    { name: 'accepted / bare', value: cpu.accepted / cpu.bare, most: 2.5 },
    { name: 'accepted at first sight / bare', value: cpu.acceptedFirstSight / cpu.bare, most: 2.5 },
    { name: 'sold out / bare', value: cpu.soldOut / cpu.bare, most: 1.5 },
    { name: 'sold out: script calls in 200 ms', value: soldOutScripts / Math.max(soldOutWindows, 1), most: 24 },
    { name: 'Redis: batched / single', value: redisCpu.batched / redisCpu.single, most: 0.6 },
  ];
}

function asJson(): string {
  const ratios = Object.fromEntries(
    goals.map(({ name, value, most }) => [name, { value: Math.round(value * 100) / 100, most }]),
  );
  return `${JSON.stringify({ http: roundAll(http.cpu), redis: roundAll(inRedis), batch: round(http.batch), goals: ratios }, null, 2)}\n`;
}

function asTable(): string {
  const ofHttp = HTTP_VARIANTS.map((name) => [
    name,
    http.cpu[name].toFixed(1),
    (http.cpu[name] / http.cpu.bare).toFixed(2),
  ]);
  const ofRedis = REDIS_VARIANTS.map((name) => [
    name,
    inRedis[name].toFixed(1),
    (inRedis[name] / inRedis.single).toFixed(2),
  ]);
  const ofGoals = goals.map(({ name, value, most }) => [
    name,
    value.toFixed(2),
    String(most),
    value <= most ? 'held' : 'missed',
  ]);
  return [
    table([['HTTP, the server', 'CPU µs', 'x bare'], ...ofHttp]),
    `(${http.batch.toFixed(1)} purchases a script call while accepting)`,
    table([[`Redis (batches of ${BATCH})`, 'CPU µs', 'x single'], ...ofRedis]),
    table([['Goal', 'is', 'at most', ''], ...ofGoals]),
    '',
  ].join('\n\n');
}
