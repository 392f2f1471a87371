/** Configuration: what is parsed, and that an error names variables but no values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, parseConfig, vars, z } from './config.ts';

test('parses what the shape names, with defaults, and nothing else', () => {
  const shape = { PORT: vars.PORT, ADMIN_PORT: vars.ADMIN_PORT, OIDC_AUDIENCE: vars.OIDC_AUDIENCE };
  assert.deepEqual(parseConfig(shape, { PORT: '8080', OTHER: 'x' }), {
    PORT: 8080,
    ADMIN_PORT: 0,
    OIDC_AUDIENCE: 'flashsale',
  });
});

test('an empty variable counts as absent', () => {
  assert.deepEqual(parseConfig({ ADMIN_PORT: vars.ADMIN_PORT }, { ADMIN_PORT: '' }), { ADMIN_PORT: 0 });
  assert.throws(() => parseConfig({ PORT: vars.PORT }, { PORT: '' }), /PORT is missing/);
});

test('names every variable that is wrong, at once', () => {
  const shape = { PORT: vars.PORT, REDIS_URL: vars.REDIS_URL, KAFKA_BROKERS: vars.KAFKA_BROKERS };
  assert.throws(
    () => parseConfig(shape, { PORT: '70000', REDIS_URL: 'http://x', KAFKA_BROKERS: 'a:1, b:2' }),
    (error) => error instanceof ConfigError && error.variables.join() === 'PORT,REDIS_URL,KAFKA_BROKERS',
  );
});

test('accepts the addresses that the documentation gives', () => {
  const shape = { REDIS_URL: vars.REDIS_URL, KAFKA_BROKERS: vars.KAFKA_BROKERS, DATABASE_URL: vars.DATABASE_URL };
  const env = {
    REDIS_URL: 'redis-cluster://h1:7000,h2:7001',
    KAFKA_BROKERS: 'h1:9092,h2:9092',
    DATABASE_URL: 'postgresql://u:p@h:5432/orders',
  };
  assert.deepEqual(parseConfig(shape, env), env);
  assert.equal(
    parseConfig({ REDIS_URL: vars.REDIS_URL }, { REDIS_URL: 'redis://h:6379/2' }).REDIS_URL,
    'redis://h:6379/2',
  );
});

test('no error message holds a value, whatever the schema says', () => {
  const shape = {
    ...{ PORT: vars.PORT, REDIS_URL: vars.REDIS_URL, DATABASE_URL: vars.DATABASE_URL, LOG_LEVEL: vars.LOG_LEVEL },
    SECRET: z.string().refine(() => false, { error: (issue) => `${String(issue.input)} is no good` }),
  };
  // Marked, so that a value cannot be a part of a message by chance.
  const secret = fc.string({ minLength: 1 }).map((text) => `#${text}#`);
  fc.assert(
    fc.property(secret, (value) => {
      const env = { PORT: value, REDIS_URL: value, DATABASE_URL: value, LOG_LEVEL: value, SECRET: value };
      assert.throws(
        () => parseConfig(shape, env),
        (error) => error instanceof ConfigError && error.variables.length === 5 && !error.message.includes(value),
      );
    }),
  );
});
