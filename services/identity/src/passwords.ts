/** Password hashes: Argon2id with the parameters of the OWASP password storage cheat sheet, a bounded number at a time. */
import { hash, verify } from '@node-rs/argon2';
import { SaleError } from '@flashsale/sale';

/** 19 MiB, 2 passes, 1 lane. The library's default algorithm is Argon2id. */
const OPTIONS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
/** Each hash takes a thread of the pool and 19 MiB; what does not fit in the queue is refused. */
const RUNNING = 2;
const WAITING = 64;

export interface Passwords {
  /** PHC string. Throws SaleError `try_again_later` where too many are waiting. */
  hash(password: string): Promise<string>;
  /** Without a hash it does the same work and answers false, so that the time does not tell which e-mails exist. */
  verify(passwordHash: string | undefined, password: string): Promise<boolean>;
}

export async function createPasswords(): Promise<Passwords> {
  const decoy = await hash('no account has this password', OPTIONS);
  const bounded = limiter(RUNNING, WAITING);
  return {
    hash: (password) => bounded(() => hash(password, OPTIONS)),
    async verify(passwordHash, password) {
      const matches = await bounded(() => verify(passwordHash ?? decoy, password));
      return matches && passwordHash !== undefined;
    },
  };
}

/** Runs at most `running` at a time; refuses where `waiting` others wait already. */
export function limiter(running: number, waiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  let active = 0;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (active >= running) {
      if (queue.length >= waiting) {
        throw new SaleError('try_again_later', 'Too many people are signing in.', { retryAfter: 2 });
      }
      // The one who ends hands its place over, so `active` does not change here.
      await new Promise<void>((resolve) => queue.push(resolve));
    } else {
      active++;
    }
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next) next();
      else active--;
    }
  };
}
