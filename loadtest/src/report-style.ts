/** The style sheet of the report: one column where it is narrow, light or dark as the reader's system is. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fff; --card: #f6f7f9; --ink: #1b1f24; --faint: #5b6570; --rule: #d5dae0;
  --good: #14703a; --bad: #b3261e; --mark: #b3261e;
  --c1: #1f5fbf; --c2: #b45309; --c3: #8e24aa; --c4: #14703a; --c5: #b3261e; --c6: #00707a; --c7: #6b5b00; --c8: #5b6570;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --card: #1e2328; --ink: #e8ebee; --faint: #9aa5b1; --rule: #39414a;
    --good: #6fd08f; --bad: #ff8a80; --mark: #ff8a80;
    --c1: #7fb0ff; --c2: #ffb454; --c3: #d79bf0; --c4: #6fd08f; --c5: #ff8a80; --c6: #5cd3dd; --c7: #dcc94e; --c8: #9aa5b1;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 16px; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 4px; }
h2 { font-size: 1.1rem; margin: 28px 0 8px; }
p { margin: 4px 0; }
.faint, .unit, .reason { color: var(--faint); }
.verdict { font-weight: 600; }
.held, .better { color: var(--good); font-weight: 600; }
.missed, .worse { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: min(100%, 620px); font-variant-numeric: tabular-nums; }
th, td { padding: 5px 16px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--faint); }
td.n, th.n { text-align: right; white-space: nowrap; }
.plots { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
figure { margin: 0; padding: 12px; background: var(--card); border-radius: 8px; min-width: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; min-height: 20px; margin: 2px 0 4px; }
.key::before { content: ""; display: inline-block; width: 12px; height: 3px; margin-right: 6px; vertical-align: middle; background: var(--c); }
svg { display: block; width: 100%; height: auto; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); }
.c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); } .c8 { --c: var(--c8); }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick { fill: var(--faint); font-size: 12px; }
line.mark { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 5 4; }
text.mark { fill: var(--mark); font-size: 12px; }
.line { stroke: var(--c); fill: none; stroke-width: 2; stroke-linejoin: round; }
.line circle { fill: var(--c); stroke: none; }
.area { fill: var(--c); fill-opacity: .55; stroke: var(--c); stroke-width: 1; }
@media (max-width: 700px) {
  .wide { display: none; }
  body { padding: 10px; }
}
@media (max-width: 460px) {
  .tick, text.mark { font-size: 17px; }
  th, td { padding-right: 9px; }
}
`;
