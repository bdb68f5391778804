import type { ServerSnapshot } from '../metrics/snapshot.js';
import { compare, type Picture } from './rates.js';
import { CONNECTION_ORDERS, EXPORT_ORDERS } from './top-columns.js';

export const VIEWS = ['exports', 'connections', 'threads', 'warnings', 'help'] as const;
export type View = (typeof VIEWS)[number];

/** Points of the curve of throughput; one a second. */
const HISTORY = 300;

/** All that decides what `aionbd top` shows. It is replaced, never changed. */
export interface TopState {
  /** Where the server is asked, as it was written. */
  readonly address: string;
  readonly view: View;
  /** Places in the orders of the two tables. */
  readonly exportOrder: number;
  readonly connectionOrder: number;
  /** The least first. */
  readonly reversed: boolean;
  /** Rows of the list that are above the screen. */
  readonly scroll: number;
  readonly paused: boolean;
  /** What is shown; while it is paused, not what came last. */
  readonly picture: Picture | undefined;
  readonly latest: Picture | undefined;
  /** Requests a second, the latest last. */
  readonly history: readonly number[];
  /** Why the server can't be asked, and since when; undefined while it can. */
  readonly trouble: { readonly reason: string; readonly sinceMs: number } | undefined;
  readonly nowMs: number;
}

export function firstState(address: string, nowMs: number): TopState {
  return {
    address,
    view: 'exports',
    exportOrder: 0,
    connectionOrder: 0,
    reversed: false,
    scroll: 0,
    paused: false,
    picture: undefined,
    latest: undefined,
    history: [],
    trouble: undefined,
    nowMs,
  };
}

/** The server has answered. */
export function withSnapshot(state: TopState, snapshot: ServerSnapshot, nowMs: number): TopState {
  const latest = compare(state.latest?.snapshot, snapshot);
  const shown = state.paused && state.picture !== undefined ? state.picture : latest;
  const history = latest.seconds > 0 ? [...state.history, latest.total.iops].slice(-HISTORY) : state.history;
  return { ...state, latest, picture: shown, history, trouble: undefined, nowMs };
}

/** The server has not. */
export function withTrouble(state: TopState, reason: string, nowMs: number): TopState {
  return { ...state, trouble: { reason, sinceMs: state.trouble?.sinceMs ?? nowMs }, nowMs };
}

/** Keys by what node:readline calls them, and what they do. */
const KEYS: Readonly<Record<string, (state: TopState, pageRows: number) => TopState>> = Object.freeze({
  e: (state) => show(state, 'exports'),
  c: (state) => show(state, 'connections'),
  t: (state) => show(state, 'threads'),
  w: (state) => show(state, 'warnings'),
  h: toggleHelp,
  '?': toggleHelp,
  escape: (state) => show(state, 'exports'),
  tab: (state) => show(state, VIEWS[(VIEWS.indexOf(state.view) + 1) % VIEWS.length]!),
  s: (state) => sorted(state, 1),
  right: (state) => sorted(state, 1),
  S: (state) => sorted(state, -1),
  left: (state) => sorted(state, -1),
  r: (state) => ({ ...state, reversed: !state.reversed, scroll: 0 }),
  p: togglePause,
  space: togglePause,
  up: (state) => scrolled(state, -1),
  k: (state) => scrolled(state, -1),
  down: (state) => scrolled(state, 1),
  j: (state) => scrolled(state, 1),
  pageup: (state, page) => scrolled(state, -page),
  pagedown: (state, page) => scrolled(state, page),
  home: (state) => ({ ...state, scroll: 0 }),
  end: (state, page) => scrolled({ ...state, scroll: 0 }, rowsOf(state) - page),
});

/** What a key makes of the state; keys that mean nothing leave it. `pageRows` is how much of a list the screen shows. */
export function withKey(state: TopState, key: string, pageRows: number): TopState {
  return KEYS[key]?.(state, Math.max(pageRows, 1)) ?? state;
}

function show(state: TopState, view: View): TopState {
  return state.view === view ? state : { ...state, view, scroll: 0 };
}

function toggleHelp(state: TopState): TopState {
  return show(state, state.view === 'help' ? 'exports' : 'help');
}

function togglePause(state: TopState): TopState {
  return { ...state, paused: !state.paused, picture: state.paused ? state.latest : state.picture };
}

function sorted(state: TopState, step: number): TopState {
  const next = (place: number, orders: readonly unknown[]) => (place + step + orders.length) % orders.length;
  if (state.view === 'exports') {
    return { ...state, exportOrder: next(state.exportOrder, EXPORT_ORDERS), scroll: 0 };
  }
  if (state.view === 'connections') {
    return { ...state, connectionOrder: next(state.connectionOrder, CONNECTION_ORDERS), scroll: 0 };
  }
  return state;
}

function scrolled(state: TopState, rows: number): TopState {
  const last = Math.max(rowsOf(state) - 1, 0);
  return { ...state, scroll: Math.min(Math.max(state.scroll + rows, 0), last) };
}

/** How long the list is that is shown. */
function rowsOf({ view, picture }: TopState): number {
  if (picture === undefined) return 0;
  switch (view) {
    case 'exports':
      return picture.exports.length;
    case 'connections':
      return picture.connections.length;
    case 'threads':
      return picture.snapshot.reactors.length;
    case 'warnings':
      return picture.snapshot.warnings.length;
    case 'help':
      return 0;
  }
}
