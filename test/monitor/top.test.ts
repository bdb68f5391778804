import fc from 'fast-check';
import t from 'tap';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { widthOf } from '../../src/monitor/text.js';
import { bodyHeight, renderTop } from '../../src/monitor/top-screen.js';
import {
  firstState,
  type TopState,
  VIEWS,
  withKey,
  withSnapshot,
  withTrouble,
} from '../../src/monitor/top-state.js';
import { busy, connection, operation, snapshot, target } from './made-up.js';

const NOW_MS = 1_700_000_000_000;
const PLAIN = { colour: false, unicode: true };
const SGR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

function stateOf(...snapshots: ServerSnapshot[]): TopState {
  return snapshots.reduce(
    (state, given) => withSnapshot(state, given, NOW_MS),
    firstState('127.0.0.1:9809', NOW_MS),
  );
}

const lines = (state: TopState, width = 80, height = 24) => renderTop(state, width, height, PLAIN);
const text = (state: TopState, width?: number, height?: number) => lines(state, width, height).join('\n');
const keys = (state: TopState, ...pressed: string[]) =>
  pressed.reduce((before, key) => withKey(before, key, 15), state);

t.test('the screen shows totals, exports by activity and warnings', async (t) => {
  const screen = text(stateOf(busy(1), busy(2)));
  t.match(screen, /IOPS +143k +read +120k +write +23k/);
  t.match(screen, /MiB\/s +569 +read +479 +write +89\.8/);
  t.match(screen, /clients +4 +exports +5 +errors +1\/s \(1 in all\)/);
  t.match(screen, /vm1\.img +143k +469 +89\.8/);
  t.match(screen, /archive +40 +10\.0 +0 +25ms/);
  t.match(screen, '! archive: goes through the page cache');
  t.ok(screen.indexOf('\nvm1.img') < screen.indexOf('\narchive'), 'the busiest first');
});

t.test('a wider screen has more columns, and the curve of throughput', async (t) => {
  const state = stateOf(busy(1), busy(2), busy(3), busy(4));
  t.notMatch(text(state), 'DISK P99');
  t.match(text(state, 140, 40), /DISK P99.*USED.*FREE.*MODE.*HEALTH/);
  t.match(text(state, 140, 40), '██');
});

t.test(
  'whatever is shown, the screen is as high as asked, never too wide, and holds nothing but text',
  async (t) => {
    const exports = (count: number) =>
      snapshot({
        exports: Array.from({ length: count }, (_, i) => target(`export ${i}`, {}, { read: operation(i) })),
      });
    const states = [
      firstState('x', NOW_MS),
      withTrouble(firstState('x', NOW_MS), 'nothing\nlistens \x1b[2Jthere', NOW_MS),
      stateOf(snapshot()),
      stateOf(busy(1), busy(2)),
      withTrouble(stateOf(busy(1), busy(2)), 'nothing listens there', NOW_MS + 5000),
      stateOf(exports(1000)),
    ];
    const all = fc.property(
      fc.constantFrom(...states),
      fc.array(
        fc.constantFrom(
          'e',
          'c',
          't',
          'w',
          '?',
          'tab',
          's',
          'S',
          'r',
          'p',
          'down',
          'pagedown',
          'end',
          'home',
          'x',
        ),
      ),
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 0, max: 60 }),
      fc.boolean(),
      fc.boolean(),
      (state, pressed, width, height, colour, unicode) => {
        const screen = renderTop(keys(state, ...pressed), width, height, { colour, unicode });
        if (screen.length !== height) throw new Error(`${screen.length} lines instead of ${height}`);
        for (const line of screen) {
          const bare = line.replace(SGR, '');
          if (/[\p{C}]/u.test(bare)) throw new Error(`a control character in ${JSON.stringify(line)}`);
          if (widthOf(bare) > width) throw new Error(`${widthOf(bare)} columns: ${line}`);
          if (!unicode && /[^\x20-\x7e]/.test(bare)) throw new Error(`not ASCII: ${line}`);
          if (!colour && line !== bare) throw new Error(`colour: ${line}`);
        }
        return true;
      },
    );
    t.doesNotThrow(() => fc.assert(all, { numRuns: 300 }));
  },
);

t.test('names with wide and with control characters leave the columns where they are', async (t) => {
  const rows = lines(stateOf(busy(1), busy(2))).filter((line) => / 10G /.test(line));
  t.equal(rows.length, 5);
  const places = rows.map((line) => widthOf(line.slice(0, line.indexOf(' 10G '))));
  t.equal(new Set(places).size, 1, rows.join('\n'));
});

t.test('no export, and nobody connected, are said in words', async (t) => {
  const state = stateOf(snapshot());
  t.match(text(state), 'nothing is exported');
  t.match(text(keys(state, 'c')), 'nobody is connected');
  t.match(text(keys(state, 'w')), 'none');
});

t.test('of a thousand exports the screen shows a page, and scrolls to the last', async (t) => {
  const many = snapshot({
    exports: Array.from({ length: 1000 }, (_, i) => target(`disk-${String(i).padStart(3, '0')}`)),
  });
  let state = stateOf(many);
  const page = bodyHeight(state, 24);
  t.match(text(state), /disk-000/);
  t.notMatch(text(state), 'disk-999');
  state = withKey(state, 'end', page);
  t.match(lines(state).at(-2), /^disk-999 /, 'the last stands on the last line of the list');
  state = withKey(withKey(state, 'down', page), 'pagedown', page);
  t.match(text(state), 'disk-999', 'there is no way beyond the end');
  state = withKey(state, 'home', page);
  t.match(text(state), 'disk-000');
  t.match(lines(withKey(state, 'pagedown', page)).join(), `disk-0${page}`);
});

t.test('keys change the view, the order and its direction', async (t) => {
  const state = stateOf(busy(1), busy(2));
  t.match(text(keys(state, 'c')), /CLIENT .*\n127\.0\.0\.1:40001/);
  t.match(text(keys(state, 't')), /THREAD .*TURNS/);
  t.match(text(keys(state, 'w')), /HANDSHAKES THAT LED TO NOTHING\s+3 {2}unknown_export/);
  t.match(text(keys(state, '?')), 'Ctrl-C');
  t.equal(keys(state, '?', '?').view, 'exports');
  t.equal(keys(state, ...VIEWS.map(() => 'tab')).view, 'exports', 'Tab comes around');
  const first = (screen: TopState) => lines(screen).find((_, i, all) => /^EXPORT/.test(all[i - 1] ?? ''));
  t.match(first(keys(state, 's')), /^vm1/, 'bytes read');
  t.match(first(keys(state, 's', 's', 's')), /^archive/, 'p99');
  t.match(first(keys(state, 'S')), /^a-very/, 'by name');
  t.match(first(keys(state, 'S', 'r')), /^データ/, 'by name, from the end');
  t.equal(keys(state, 'x'), state, 'a key that means nothing');
});

t.test('a pause holds the picture; after it comes what is newest', async (t) => {
  const paused = keys(stateOf(busy(1), busy(2)), 'p');
  const later = withSnapshot(paused, busy(60), NOW_MS);
  t.match(text(later), 'PAUSED');
  t.match(text(later), 'for 2s');
  t.match(text(keys(later, 'p')), 'for 1m 0s');
  t.notMatch(text(keys(later, 'p')), 'PAUSED');
});

t.test('a server that is gone is told of, with the reason, over what was there last', async (t) => {
  const gone = withTrouble(stateOf(busy(1), busy(2)), 'nothing listens there', NOW_MS);
  const still = withTrouble(gone, 'nothing listens there', NOW_MS + 5000);
  t.match(text(still), 'the server is gone for 5s, trying again: nothing listens there');
  t.match(text(still), 'vm1.img');
  t.notMatch(text(withSnapshot(still, busy(9), NOW_MS)), 'gone');
  t.match(text(withTrouble(firstState('x', NOW_MS), 'nothing listens there', NOW_MS)), 'no server for 0s');
});

t.test('a server that was started anew has a history without a leap', async (t) => {
  const state = stateOf(busy(1), busy(2), { ...busy(1), pid: 1 }, { ...busy(2), pid: 1 });
  t.same(state.history, [143_040, 143_040]);
});

t.test('connections tell who does what', async (t) => {
  const before = snapshot({ takenAtMs: NOW_MS, connections: [connection(7, 'a')] });
  const after = snapshot({
    takenAtMs: NOW_MS + 1000,
    connections: [connection(7, 'a', { requests: 500, readBytes: 500 * 4096, inFlight: 4, errors: 2 })],
  });
  t.match(text(keys(stateOf(before, after), 'c')), /127\.0\.0\.1:40007 +7 a +500 +2\.0 +0 +4 +2/);
});
