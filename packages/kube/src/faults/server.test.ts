/** The misbehaving server keeps the contract where it is told to behave. */
import { after } from 'node:test';
import { createKubeClient } from '../client.ts';
import { serverContract } from './server.contract.ts';
import { FaultyServer } from './server.fixture.ts';
import type { Stored } from './storage.fixture.ts';

const server = await FaultyServer.start();
const client = createKubeClient({ config: server.config, fieldManager: 'contract' });
after(async () => {
  await client.close();
  await server.close();
});
const things = { group: 'faults.test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
serverContract('the misbehaving server', () => client.resource<Stored>(things), 'n');
