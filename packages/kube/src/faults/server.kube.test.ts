/** The real API server keeps the contract that the misbehaving one is tested by. */
import { testKind, testNamespace } from '../namespace.fixture.ts';
import { serverContract } from './server.contract.ts';
import type { Stored } from './storage.fixture.ts';

const { client, namespace } = await testNamespace();
const things = await testKind(client);
serverContract('the real server', () => client.resource<Stored>(things), namespace);
