/** The simulated ledger and book keep the contracts of the real ones. */
import { ledgerContract } from '@flashsale/orders/ledger.contract';
import { bookContract } from '@flashsale/payments/book.contract';
import { Life } from '../life.ts';
import { randomOf } from '../random.ts';
import { DatabaseConnection, databaseStore } from './connection.ts';
import { Database } from './database.ts';
import { directNetwork } from './direct-network.fixture.ts';
import { simulatedLedger } from './orders-ledger.ts';
import { simulatedBook } from './payments-book.ts';

const connect = (name: 'orders-db' | 'payments-db'): DatabaseConnection => {
  const life = new Life('test', 0, 0, randomOf(name));
  return new DatabaseConnection(life, directNetwork(), databaseStore(name), new Database());
};

ledgerContract('the simulated ledger', () => Promise.resolve(simulatedLedger(connect('orders-db'))));
bookContract('the simulated book', () => Promise.resolve(simulatedBook(connect('payments-db'))));
