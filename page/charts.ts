// Three charts with uPlot: throughput, requests, latency.

import uPlot from 'uplot';
import { element } from './dom.js';
import { bytes, count, time } from './format.js';
import { type Field, HISTORY_SECONDS, type History } from './history.js';

interface Series {
  readonly label: string;
  readonly field: Field;
  /** A custom property of page.css, and the class of its key. */
  readonly colour: 'read' | 'write' | 'third';
}

interface Plan {
  readonly title: string;
  readonly format: (value: number) => string;
  /** The least that the axis reaches to. */
  readonly least: number;
  /** Distances between lines of the grid; uPlot's own are powers of ten. */
  readonly increments?: number[];
  readonly series: readonly [Series, Series];
}

const PLANS: readonly Plan[] = [
  {
    title: 'Throughput',
    format: (value) => `${bytes(value)}/s`,
    least: 1024 * 1024,
    increments: Array.from({ length: 50 }, (_, power) => 2 ** power),
    series: [
      { label: 'read', field: 'readBytes', colour: 'read' },
      { label: 'write', field: 'writeBytes', colour: 'write' },
    ],
  },
  {
    title: 'Requests a second',
    format: count,
    least: 10,
    series: [
      { label: 'read', field: 'readRequests', colour: 'read' },
      { label: 'write', field: 'writeRequests', colour: 'write' },
    ],
  },
  {
    title: 'Latency',
    format: time,
    least: 100e-6,
    series: [
      { label: 'p50', field: 'p50', colour: 'read' },
      { label: 'p99', field: 'p99', colour: 'third' },
    ],
  },
];

const HEIGHT = 170;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

class Chart {
  readonly root = element('figure', { className: 'chart' });
  readonly #plan: Plan;
  readonly #values: readonly HTMLElement[];
  readonly #box = element('div', { role: 'img' });
  #plot: uPlot | undefined;
  #width = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#values = plan.series.map(() => element('span', {}, '–'));
    const keys = plan.series.map(({ label, colour }, i) =>
      element(
        'span',
        { className: 'key' },
        element('i', { className: colour }),
        `${label} `,
        this.#values[i]!,
      ),
    );
    const caption = element(
      'figcaption',
      {},
      element('strong', {}, plan.title),
      element('div', { className: 'keys' }, ...keys),
    );
    this.root.append(caption, this.#box);
  }

  show(history: History, scope: string | undefined): void {
    const lines = this.#plan.series.map(({ field }) => history.line(scope, field));
    const data = [history.times, ...lines] as uPlot.AlignedData;
    const width = this.#box.clientWidth;
    if (width === 0) return;
    this.#plot ??= new uPlot(this.#options(width), data, this.#box);
    if (width !== this.#width) this.#plot.setSize({ width, height: HEIGHT });
    this.#width = width;
    this.#plot.setData(data);
    const last = lines.map((line) => line.at(-1));
    // While the pointer is on the chart, the keys show what is under it.
    if (this.#plot.cursor.idx == null) this.#say(last);
    const spoken = this.#plan.series.map(({ label }, i) => `${label} ${this.#text(last[i])}`).join(', ');
    this.#box.setAttribute('aria-label', `${this.#plan.title} of the last five minutes; now ${spoken}`);
  }

  /** Draws anew, in the colours of now. */
  redraw(): void {
    this.#plot?.redraw(false, true);
  }

  #text(value: number | null | undefined): string {
    return value === null || value === undefined ? '–' : this.#plan.format(value);
  }

  #say(values: readonly (number | null | undefined)[]): void {
    this.#values.forEach((box, i) => {
      box.textContent = this.#text(values[i]);
    });
  }

  #options(width: number): uPlot.Options {
    const { series, format, least, increments } = this.#plan;
    const axis = {
      stroke: () => colour('quiet'),
      grid: { stroke: () => colour('line'), width: 1 },
      ticks: { show: false },
    };
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { show: true }, drag: { x: false, y: false } },
      padding: [8, 18, 0, 0],
      scales: {
        x: { range: (_plot, _min, max) => [max - HISTORY_SECONDS, max] },
        y: { range: (_plot, _min, max) => [0, Math.max(max ?? 0, least) * 1.08] },
      },
      axes: [
        { ...axis, size: 30, space: 45, incrs: [60, 120, 300], values: (_plot, times) => times.map(clock) },
        {
          ...axis,
          size: 76,
          ...(increments && { incrs: increments }),
          values: (_plot, values) => values.map(format),
        },
      ],
      series: [
        {},
        ...series.map(({ label, colour: name }) => ({
          label,
          stroke: () => colour(name),
          width: 2,
          points: { show: false },
        })),
      ],
      hooks: {
        setCursor: [
          (plot) => {
            const at = plot.cursor.idx;
            if (at != null) this.#say(plot.data.slice(1).map((line) => line[at]));
          },
        ],
      },
    };
  }
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  });
}

/** The charts of one export, or of the whole. */
export class Charts {
  readonly #charts = PLANS.map((plan) => new Chart(plan));

  constructor(root: HTMLElement) {
    root.append(...this.#charts.map((chart) => chart.root));
  }

  show(history: History, scope: string | undefined): void {
    for (const chart of this.#charts) chart.show(history, scope);
  }

  redraw(): void {
    for (const chart of this.#charts) chart.redraw();
  }
}
