// The status page: listens to /api/live and shows what comes. It asks for nothing else, and changes nothing.

import { Charts } from './charts.js';
import { byId, element, setText } from './dom.js';
import { age, bytes, count, glued, time } from './format.js';
import { History } from './history.js';
import { between, type Interval, type LiveSnapshot } from './rates.js';
import { connectionsTable, exportsTable, threadsTable } from './tables.js';
import { initTheme } from './theme.js';

/** A source that the browser has given up is opened again after this. */
const RETRY_MS = 2000;
/** So long nothing comes, and something is wrong. */
const SILENCE_MS = 5000;

const history = new History();
const charts = new Charts(byId('charts'));
const scopeBox = byId<HTMLSelectElement>('scope');
const exports = exportsTable(byId('exports'), (name) => {
  scopeBox.value = scopeOf(name);
  drawCharts();
  byId('charts').scrollIntoView({ block: 'nearest' });
});
const connections = connectionsTable(byId('connections'));
const threads = threadsTable(byId('threads'));
const linkPill = byId('link');

let last: LiveSnapshot | undefined;
let lastMessageAt = 0;
let names = '';

initTheme(byId<HTMLButtonElement>('theme'), () => charts.redraw());
scopeBox.addEventListener('change', drawCharts);
window.addEventListener('resize', drawCharts);
listen();
setInterval(() => {
  if (lastMessageAt > 0 && performance.now() - lastMessageAt > SILENCE_MS) away();
}, 1000);

function listen(): void {
  const source = new EventSource('/api/live');
  source.onmessage = (event: MessageEvent<string>) => {
    lastMessageAt = performance.now();
    show(JSON.parse(event.data) as LiveSnapshot);
  };
  source.onerror = () => {
    away();
    // The browser tries again by itself, unless it was refused.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, RETRY_MS);
  };
}

/** The value of an export in the choice: the empty one means all, and an export's name may be empty. */
function scopeOf(name: string): string {
  return `=${name}`;
}

function scope(): string | undefined {
  return scopeBox.value === '' ? undefined : scopeBox.value.slice(1);
}

function away(): void {
  document.body.classList.add('away');
  linkPill.className = 'pill bad';
  setText(linkPill, 'not connected, trying again');
  document.title = 'aionbd: not connected';
}

function show(now: LiveSnapshot): void {
  document.body.classList.remove('away');
  const interval = between(last, now);
  history.add(now.takenAtMs, interval);
  last = now;
  showHead(now);
  showWarnings(now);
  showScopes(now);
  showTiles(now, interval);
  drawCharts();
  exports.show(now.exports.map((target) => ({ ...target, rates: interval?.exports.get(target.name) })));
  connections.show(
    now.connections.map((each) => ({
      ...each,
      ageMs: now.takenAtMs - each.startedAtMs,
      rates: interval?.connections.get(each.id),
    })),
  );
  threads.show(now.reactors);
}

function drawCharts(): void {
  charts.show(history, scope());
}

function showHead(now: LiveSnapshot): void {
  const isServing = now.state === 'serving';
  linkPill.className = isServing ? 'pill good' : 'pill wait';
  setText(linkPill, isServing ? 'live' : 'stopping: no new clients');
  const up = age(now.takenAtMs - now.startedAtMs);
  setText(byId('server'), `${now.version} · pid ${now.pid} · up ${up} · ${now.listeners.join(', ')}`);
  const bad = now.exports.filter(({ health }) => !health.healthy).length;
  document.title = bad > 0 ? `aionbd: ${bad} unhealthy` : 'aionbd';
}

function showWarnings(now: LiveSnapshot): void {
  byId('warnings').hidden = now.warnings.length === 0;
  const list = byId('warning-list');
  const lines = [...list.children];
  now.warnings.forEach(({ kind, text }, i) => {
    const line = lines[i] ?? list.appendChild(element('li'));
    line.className = kind;
    setText(line, glued(text));
  });
  for (const line of lines.slice(now.warnings.length)) line.remove();
}

/** Made anew only when there are other exports than before: that closes an open list. */
function showScopes(now: LiveSnapshot): void {
  const all = JSON.stringify(now.exports.map(({ name }) => name));
  if (all === names) return;
  names = all;
  const chosen = scopeBox.value;
  const options = now.exports.map(({ name }) =>
    element('option', { value: scopeOf(name) }, name || '(no name)'),
  );
  scopeBox.replaceChildren(element('option', { value: '' }, 'all exports'), ...options);
  scopeBox.value = chosen;
  if (scopeBox.selectedIndex < 0) scopeBox.value = '';
}

function showTiles(now: LiveSnapshot, interval: Interval | undefined): void {
  const rates = interval?.all;
  const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
  const used = sum(now.reactors.map(({ bufferUsedBytes }) => bufferUsedBytes));
  const buffers = sum(now.reactors.map(({ bufferBytes }) => bufferBytes));
  const inFlight = sum(now.exports.map((target) => target.inFlight));
  const tiles: [string, string, string][] = [
    [
      'Reading',
      rates ? `${bytes(rates.readBytes)}/s` : '–',
      rates ? `${count(rates.readRequests)} a second` : '',
    ],
    [
      'Writing',
      rates ? `${bytes(rates.writeBytes)}/s` : '–',
      rates ? `${count(rates.writeRequests)} a second` : '',
    ],
    ['Latency', time(rates?.p50), `p99 ${time(rates?.p99)}`],
    ['In flight', count(inFlight), `${count(rates?.errors ?? 0)} errors a second`],
    [
      'Connections',
      count(now.connections.length),
      `to ${now.exports.length} ${now.exports.length === 1 ? 'export' : 'exports'}`,
    ],
    ['Buffer memory', bytes(used), `of ${bytes(buffers)}`],
  ];
  const box = byId('tiles');
  tiles.forEach(([name, value, more], i) => {
    const tile =
      box.children[i] ??
      box.appendChild(
        element('div', {}, element('dt'), element('dd', {}, element('span'), ' ', element('small'))),
      );
    setText(tile.querySelector('dt')!, name);
    setText(tile.querySelector('span')!, value);
    setText(tile.querySelector('small')!, more);
  });
}
