/** The load scenarios: what each is, how large it is where nobody says, and the plan of one run. Read by k6 as well. */

export const SCENARIOS = ['smoke', 'open-rush', 'sold-out-storm', 'browse-and-buy', 'soak', 'spike'] as const;
export type Scenario = (typeof SCENARIOS)[number];

interface Shape {
  readonly about: string;
  /** Different buyers; each has one purchase to make. */
  readonly buyers: number;
  /** Buyers that arrive in a second, whatever the answers take. Of a spike: the declared demand. */
  readonly rate: number;
  /** Units on sale, of the number of buyers. */
  readonly stock: (buyers: number) => number;
  /** Buyers look at products as well: the catalog is given some. */
  readonly browses?: boolean;
}

const half = (buyers: number): number => Math.ceil(buyers / 2);

/** Small enough for two cores that also run the platform and k6. */
export const SHAPES: Readonly<Record<Scenario, Shape>> = {
  smoke: {
    about: 'a few buyers go the whole way: pages, purchase, the same again, the push, status, orders',
    buyers: 20,
    rate: 5,
    stock: half,
    browses: true,
  },
  'open-rush': {
    about: 'many buyers arrive at a fixed rate from the opening on; half of them get a unit',
    buyers: 2_000,
    rate: 200,
    stock: half,
  },
  'sold-out-storm': {
    about: 'one unit for a hundred buyers: nearly everybody is turned away, and must be so quickly',
    buyers: 3_000,
    rate: 300,
    stock: (buyers) => Math.ceil(buyers / 100),
  },
  'browse-and-buy': {
    about: 'buyers look at products and sales, think, buy, and hear by WebSocket that they have paid',
    buyers: 200,
    rate: 10,
    stock: (buyers) => buyers,
    browses: true,
  },
  soak: {
    about: 'a steady stream for as long as you say (--duration 30m): nothing drifts, memory stays flat',
    buyers: 3_000,
    rate: 50,
    stock: (buyers) => buyers,
  },
  spike: {
    about: 'the declared demand (--rate), then 150 % of it, then the demand again',
    buyers: 4_800,
    rate: 200,
    stock: half,
  },
};

/** Beyond this a run would outgrow what one k6 on one machine can keep or send, and the two hours that tokens are valid. */
export const MOST_BUYERS = 200_000;
export const MOST_RATE = 10_000;
export const MOST_SECONDS = 90 * 60;

export interface Size {
  readonly buyers: number;
  readonly rate: number;
  /** The arrivals take this long. */
  readonly seconds: number;
  readonly stock: number;
}

export interface AskedSize {
  readonly buyers?: number | undefined;
  readonly rate?: number | undefined;
  readonly seconds?: number | undefined;
  readonly stock?: number | undefined;
}

/** One part of a run with one rate of arrivals. */
export interface Stage {
  /** Also the name of its k6 scenario. */
  readonly name: string;
  readonly rate: number;
  readonly seconds: number;
  /** Number of its first buyer in the run. */
  readonly from: number;
}

/** The parts of the demand that a spike is made of: [name, part of the time, part of the rate]. */
const SPIKE: readonly (readonly [string, number, number])[] = [
  ['before', 0.3, 1],
  ['peak', 0.4, 1.5],
  ['after', 0.3, 1],
];
const ONE_STAGE: typeof SPIKE = [['rush', 1, 1]];
/** Arrivals in a run of the average rate 1: more than 1 for a spike. */
const SPIKE_LOAD = SPIKE.reduce((sum, [, time, rate]) => sum + time * rate, 0);
const loadOf = (scenario: Scenario): number => (scenario === 'spike' ? SPIKE_LOAD : 1);

/**
 * The size of a run: two of buyers, rate and duration make the third, and what nobody asks for is the scenario's own.
 * Throws RangeError, with words for the user, where that is not possible.
 */
export function sizeOf(scenario: Scenario, asked: AskedSize): Size {
  const shape = SHAPES[scenario];
  const load = loadOf(scenario);
  if (asked.buyers !== undefined && asked.rate !== undefined && asked.seconds !== undefined) {
    throw new RangeError('give two of --buyers, --rate and --duration: they make the third');
  }
  const rate = asked.rate ?? rateFrom(asked, load) ?? shape.rate;
  const buyers = asked.buyers ?? (asked.seconds === undefined ? shape.buyers : Math.round(rate * asked.seconds * load));
  const size = { rate, buyers, seconds: asked.seconds ?? Math.ceil(buyers / (rate * load)) };
  within('buyers', size.buyers, MOST_BUYERS);
  within('arrivals a second', size.rate, MOST_RATE);
  within('seconds', size.seconds, MOST_SECONDS);
  return { ...size, stock: asked.stock ?? shape.stock(size.buyers) };
}

function rateFrom({ buyers, seconds }: AskedSize, load: number): number | undefined {
  return buyers === undefined || seconds === undefined ? undefined : Math.ceil(buyers / (seconds * load));
}

function within(what: string, value: number, most: number): void {
  if (value > most) throw new RangeError(`${value} ${what} are more than a run may have (${most})`);
}

/** The stages of a run, one after the other. Their arrivals are all buyers; the last second may have some too many. */
export function stagesOf(scenario: Scenario, { buyers, rate, seconds }: Omit<Size, 'stock'>): Stage[] {
  const parts = scenario === 'spike' ? SPIKE : ONE_STAGE;
  const stages: Stage[] = [];
  let from = 0;
  for (const [name, time, part] of parts) {
    const left = Math.max(1, buyers - from);
    const own = Math.max(1, Math.round(rate * part));
    const isLast = stages.length === parts.length - 1;
    const stage = {
      name,
      rate: own,
      seconds: isLast ? Math.ceil(left / own) : Math.max(1, Math.round(seconds * time)),
      from,
    };
    stages.push(stage);
    from += stage.rate * stage.seconds;
  }
  return stages;
}

/** What k6 is told about a run. */
export interface Plan extends Size {
  readonly scenario: Scenario;
  readonly baseUrl: string;
  readonly sale: string;
  readonly sku: string;
  /** One access token a line. */
  readonly tokensFile: string;
  /** Where k6 writes its summary. */
  readonly summaryFile: string;
}

/** Buyers that ask once more with their key and are followed to the end of their purchase; the proof sees all of them. */
export const MOST_FOLLOWED = 5_000;
/** Longest time that these may take together, in seconds. */
export const FOLLOW_SECONDS = 300;
/** A buyer's longest wait for the push, in ms; then he asks. */
export const HEAR_MS = 10_000;
/** From the last arrival to the first who asks again. */
export const PAUSE_SECONDS = 2;
