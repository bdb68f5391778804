import { setImmediate } from 'node:timers/promises';
import type { Metric } from 'prom-client';
import { boundedSnapshot } from './bounded.js';
import { FAMILIES, type Family } from './families.js';
import { PROCESS_FAMILIES, type ProcessSource } from './process-families.js';
import type { ServerSnapshot } from './snapshot.js';

/** The page in Prometheus' text format. */
export interface Exposition {
  readonly contentType: string;
  render(snapshot: ServerSnapshot, process: ProcessSource): Promise<string>;
}

/**
 * The metrics of a server, with those of the process beside them. They are views of what is given to `render`; prom-client
 * only writes them down. It is loaded here and not at the top, since it is slow to load.
 *
 * @param mostExports exports that have series of their own; the others are one, see {@link boundedSnapshot}
 */
export async function createExposition(mostExports: number): Promise<Exposition> {
  const { Registry } = await import('prom-client');
  const registry = new Registry();
  let now: { readonly snapshot: ServerSnapshot; readonly process: ProcessSource } | undefined;
  for (const family of FAMILIES) {
    registry.registerMetric(view(family, () => now?.snapshot));
  }
  for (const family of PROCESS_FAMILIES) {
    registry.registerMetric(view(family, () => now?.process));
  }
  return {
    contentType: registry.contentType,
    async render(snapshot, process) {
      const given = { snapshot: boundedSnapshot(snapshot, mostExports), process };
      const texts: string[] = [];
      for (const { name } of [...FAMILIES, ...PROCESS_FAMILIES]) {
        // A view is asked before the first promise is waited for, so two scrapes at a time don't get in each other's way.
        now = given;
        const text = registry.getSingleMetricAsString(name);
        now = undefined;
        texts.push(await text);
        // A thousand exports take a while; others want to be answered meanwhile.
        await setImmediate();
      }
      return `${texts.join('\n\n')}\n`;
    },
  };
}

/**
 * A metric that owns no numbers. A registry asks of a metric only its name and `get()`; its type asks for more.
 */
function view<Source>(family: Family<Source>, source: () => Source | undefined): Metric {
  const { name, help, type } = family;
  const metric = {
    name,
    help,
    type,
    aggregator: 'sum',
    get: () => {
      const given = source();
      return Promise.resolve({ name, help, type, values: given === undefined ? [] : family.samples(given) });
    },
    reset() {},
  };
  return metric as unknown as Metric;
}
