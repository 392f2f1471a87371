// One sale, live: countdown by the server's clock, phase, and where every unit is.
import { listen } from './live.js';
import { phaseText } from './phases.js';

const name = decodeURIComponent(location.pathname.split('/')[2] ?? '');
const at = (id) => document.getElementById(id);
const items = new Map();
let sale;
let missing = false;
/** Server time minus this device's time, in ms. */
let offset = 0;

function show(sku, { free, held, sold }) {
  const item = items.get(sku);
  if (!item) return;
  for (const [key, n] of Object.entries({ free, held, sold })) {
    item.querySelector(`[data-n=${key}]`).textContent = n.toLocaleString();
    item.querySelector(`.bar .${key}`).style.setProperty('--n', n);
  }
}

/** Until the live line has told: what is not free any more is held or sold, and which of both is not known. */
function showRemaining({ sku, stock, remaining }) {
  const gone = stock - remaining;
  show(sku, { free: remaining, held: 0, sold: gone });
  if (gone === 0) return;
  for (const key of ['held', 'sold']) items.get(sku).querySelector(`[data-n=${key}]`).textContent = '–';
}

function addItem({ sku, title, price, perBuyer }) {
  const item = at('item').content.cloneNode(true).firstElementChild;
  item.querySelector('h2').textContent = title;
  const money = new Intl.NumberFormat(undefined, { style: 'currency', currency: price.currency }).format(price.amount);
  item.querySelector('p').textContent = `${money} · at most ${perBuyer} each`;
  items.set(sku, item);
  at('items').append(item);
}

function render() {
  at('name').textContent = sale.name;
  document.title = `${sale.name} · Flashsale`;
  renderPhase();
  for (const item of sale.items) {
    if (!items.has(item.sku)) addItem(item);
    if (!item.live) showRemaining(item);
  }
}

function renderPhase() {
  at('phase').textContent = phaseText(sale.phase);
  at('phase').dataset.phase = sale.phase;
}

async function load() {
  const asked = Date.now();
  try {
    const response = await fetch(`/api/v1/sales/${encodeURIComponent(name)}`, { signal: AbortSignal.timeout(5_000) });
    if (response.status === 404) {
      missing = true;
      at('name').textContent = 'No such sale';
      return;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    const before = new Map(sale?.items.map((item) => [item.sku, item.live]));
    sale = await response.json();
    for (const item of sale.items) item.live = before.get(item.sku) ?? false;
    // Half the way there and back is the best guess for when the server looked at its clock.
    offset = Date.parse(sale.now) - (asked + Date.now()) / 2;
    render();
  } catch {
    setTimeout(load, 1_000 + Math.random() * 2_000);
  }
}

function clockText(ms) {
  const seconds = Math.ceil(ms / 1000);
  const part = (n) => String(n).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const time = `${part(Math.floor(seconds / 3600) % 24)}:${part(Math.floor(seconds / 60) % 60)}:${part(seconds % 60)}`;
  return days > 0 ? `${days} d ${time}` : time;
}

function tick() {
  if (sale) {
    const now = Date.now() + offset;
    const opens = Date.parse(sale.opensAt) - now;
    const closes = Date.parse(sale.closesAt) - now;
    at('label').textContent = opens > 0 ? 'Opens in' : closes > 0 ? 'Closes in' : 'Over since';
    at('clock').textContent =
      opens > 0 ? clockText(opens) : closes > 0 ? clockText(closes) : new Date(sale.closesAt).toLocaleString();
  }
  // At the next full second of the server's clock.
  setTimeout(tick, 1000 - ((Date.now() + offset) % 1000));
}

function onMessage(message) {
  if (!sale || message.sale !== sale.name) return;
  if (message.type === 'stock') {
    for (const stock of message.items) {
      const item = sale.items.find(({ sku }) => sku === stock.sku);
      if (item) item.live = true;
      show(stock.sku, stock);
    }
  } else if (message.type === 'phase') {
    sale.phase = message.phase;
    renderPhase();
    // All pages hear it at once; they do not all ask at once.
    setTimeout(load, Math.random() * 3_000);
  }
}

const onLine = (online) => {
  at('line').textContent = online ? 'live' : 'reconnecting';
};

await load();
if (!missing) {
  tick();
  listen({ onMessage, onSnapshot: load, onLine });
}
