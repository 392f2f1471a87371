// The list of sales, read again every few seconds while somebody looks.
import { phaseText } from './phases.js';

const list = document.getElementById('sales');
const note = document.getElementById('note');
const EVERY_MS = 10_000;

function entry(sale) {
  const item = document.createElement('li');
  item.className = 'card';
  const link = document.createElement('a');
  link.href = `/sales/${encodeURIComponent(sale.name)}`;
  link.textContent = sale.name;
  const heading = document.createElement('h2');
  heading.append(link);
  const about = document.createElement('p');
  about.className = 'quiet';
  about.textContent = `${phaseText(sale.phase)} · opens ${new Date(sale.opensAt).toLocaleString()}`;
  item.append(heading, about);
  return item;
}

async function load() {
  try {
    const response = await fetch('/api/v1/sales', { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const sales = await response.json();
    list.replaceChildren(...sales.map(entry));
    note.textContent = sales.length === 0 ? 'There is no sale yet.' : '';
  } catch {
    note.textContent = 'The sales cannot be read right now. Trying again.';
  }
  setTimeout(load, document.hidden ? EVERY_MS * 6 : EVERY_MS * (0.8 + Math.random() * 0.4));
}

void load();
