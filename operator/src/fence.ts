/** Lets effects through only while this process leads. */

export class NotLeadingError extends Error {
  override readonly name = 'NotLeadingError';
  constructor() {
    super('this process does not lead');
  }
}

/** The port with a look at the lease before each call. A call of another leader's time throws NotLeadingError at once. */
export function fenced<T extends object>(port: T, leads: () => boolean): T {
  return new Proxy(port, {
    get(target, property) {
      const member = Reflect.get(target, property) as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        if (!leads()) throw new NotLeadingError();
        return Reflect.apply(member, target, args);
      };
    },
  });
}
