/**
 * Which sales and skus exist, as a Bloom filter: a made-up name costs no look-up. "No" is certain; "yes" is wrong for
 * about 7 in 10,000 made-up names while the filter holds no more names than it was built for.
 * Bit 0 is the highest bit of the first byte. Processes pass it on as its bytes.
 */

/** Bits for each name, and bits set by a name. By Bloom's formula (1 - e^(-7/16))^7 = 0.0007 of the others look known. */
const BITS_PER_NAME = 16;
const HASHES = 7;
/** Below this a filter would be so small that names share bits by chance of its size. */
const LEAST_BYTES = 128;

export class Existence {
  readonly bytes: Uint8Array;

  /** A filter as `bytes` of an earlier one has it. Throws RangeError where there are none. */
  constructor(bytes: Uint8Array) {
    if (bytes.length === 0) throw new RangeError('an existence filter has at least one byte');
    this.bytes = bytes;
  }

  /** An empty filter for up to `names` names. */
  static sized(names: number): Existence {
    return new Existence(new Uint8Array(Math.max(LEAST_BYTES, Math.ceil((names * BITS_PER_NAME) / 8))));
  }

  /** A filter that knows each sale and each of its skus. */
  static of(
    sales: readonly { readonly name: string; readonly items: readonly { readonly sku: string }[] }[],
  ): Existence {
    const names = sales.flatMap(({ name, items }) => [saleName(name), ...items.map(({ sku }) => itemName(name, sku))]);
    const filter = Existence.sized(names.length);
    for (const name of names) filter.add(name);
    return filter;
  }

  add(name: string): void {
    for (const bit of this.bits(name)) this.bytes[bit >>> 3] = (this.bytes[bit >>> 3] ?? 0) | mask(bit);
  }

  /** False: certainly not added. True: almost certainly. */
  has(name: string): boolean {
    return this.bits(name).every((bit) => ((this.bytes[bit >>> 3] ?? 0) & mask(bit)) !== 0);
  }

  hasSale(sale: string): boolean {
    return this.has(saleName(sale));
  }

  hasItem(sale: string, sku: string): boolean {
    return this.has(itemName(sale, sku));
  }

  /** Two hashes stand for all (Kirsch and Mitzenmacher, "Less Hashing, Same Performance", 2006). */
  private bits(name: string): number[] {
    const size = this.bytes.length * 8;
    const first = hash(name, 0x811c9dc5);
    const step = hash(name, 0x9e3779b9) | 1;
    return Array.from({ length: HASHES }, (_, i) => ((first + Math.imul(i, step)) >>> 0) % size);
  }
}

/** Neither a sale's name nor a sku holds a slash. */
const saleName = (sale: string): string => sale;
const itemName = (sale: string, sku: string): string => `${sale}/${sku}`;

const mask = (bit: number): number => 0x80 >>> (bit & 7);

/** FNV-1a over UTF-16 units, with MurmurHash3's last mix: FNV alone leaves the low bits of similar names alike. */
function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
