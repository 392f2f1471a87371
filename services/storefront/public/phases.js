// The phases of a sale, in a buyer's words.
const TEXTS = {
  Scheduled: 'Planned',
  Warming: 'Getting ready',
  Armed: 'Ready to open',
  Open: 'Open',
  Draining: 'Closed, last payments',
  Closed: 'Over',
  Aborted: 'Called off',
};
export const phaseText = (phase) => TEXTS[phase] ?? phase;
