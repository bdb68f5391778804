// What deploy/compose.yaml starts fits together: Compose accepts it, what it mounts is there, and the three find each other.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv, type AnySchemaObject } from 'ajv';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { readServeQuickly } from '../../src/cli/quick.js';
import { serveConfig } from '../../src/config/serve-config.js';
import { run } from '../support/programs.js';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const SCHEMA = fileURLToPath(new URL('./compose-spec/compose-spec.json', import.meta.url));

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly user?: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly healthcheck?: unknown;
  readonly stop_grace_period?: string;
}
interface Compose {
  readonly services: Readonly<Record<'aionbd' | 'prometheus' | 'grafana', Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const yaml = (name: string): unknown => parse(readFileSync(join(DEPLOY, name), 'utf8'));
const compose = yaml('compose.yaml') as Compose;
const { aionbd, prometheus, grafana } = compose.services;

/** What Compose makes of `${NAME:-default}` when nothing is set. */
const plain = (text: string) => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');

/** Where something in a container comes from: a path on this machine, or undefined for a volume. */
function sourceOf({ volumes }: Service, target: string): string | undefined {
  for (const volume of volumes) {
    const [source = '', mounted = ''] = plain(volume).split(':');
    if (target !== mounted && !target.startsWith(`${mounted}/`)) continue;
    return resolve(DEPLOY, source) + target.slice(mounted.length);
  }
  return undefined;
}

/** Whether the schema of the Compose specification has it so, and if not, why not. */
function valid(file: unknown): string | undefined {
  // Its formats are those of Compose, which Ajv does not know; `$schema` is written with https.
  const { $schema: _, ...schema } = JSON.parse(readFileSync(SCHEMA, 'utf8')) as AnySchemaObject;
  const ajv = new Ajv({ strict: false, validateFormats: false });
  return ajv.validate(schema, file) ? undefined : ajv.errorsText();
}

t.test('compose.yaml is as the Compose specification wants it', async (t) => {
  t.equal(valid(compose), undefined);
});

t.test('a mistake in a Compose file is found out', async (t) => {
  const mistaken = { ...compose, services: { aionbd: { ...aionbd, cap_dropp: ['ALL'] } } };
  t.match(valid(mistaken), /additional properties/);
});

t.test('each file that is mounted is there, and each volume is declared', async (t) => {
  for (const [name, { volumes }] of Object.entries(compose.services)) {
    for (const volume of volumes) {
      const [source = ''] = plain(volume).split(':');
      if (source.startsWith('.')) t.ok(existsSync(resolve(DEPLOY, source)), `${name}: ${source}`);
      else t.ok(source.startsWith('/') || source in compose.volumes, `${name}: ${source}`);
    }
  }
  t.ok(existsSync(resolve(DEPLOY, aionbd.build!.context, 'Dockerfile')), 'the Dockerfile');
});

t.test(
  'nothing is reachable from another machine, and nothing has rights that it does not need',
  async (t) => {
    for (const [name, service] of Object.entries(compose.services)) {
      for (const port of service.ports) t.match(port, /^127\.0\.0\.1:\d+:\d+$/, `${name}: ${port}`);
      t.equal(service.read_only, true, name);
      t.strictSame(service.cap_drop, ['ALL'], name);
      t.strictSame(service.security_opt, ['no-new-privileges:true'], name);
    }
    t.equal(aionbd.user, '65532:65532');
  },
);

t.test('images of others are pinned to a version', async (t) => {
  for (const { image } of [prometheus, grafana]) t.match(image, /:v?\d+\.\d+\.\d+$/);
});

t.test('the command is one that aionbd takes, and its ports are those that are published', async (t) => {
  const flags = readServeQuickly([...aionbd.command!]);
  t.ok(flags);
  const { listen, metrics, server } = serveConfig(flags!);
  const published = aionbd.ports.map((port) => Number(port.split(':')[2]));
  const addresses = [...listen, metrics!.listen].flatMap(({ addresses }) => addresses);
  t.strictSame(
    addresses.map((address) => (address.kind === 'tcp' ? [address.host, address.port] : [])),
    published.map((port) => ['0.0.0.0', port]),
  );
  for (const { path } of server.exports) t.equal(sourceOf(aionbd, path), `/srv/images/${path.slice(6)}`);
});

t.test('health is asked for by the image, at the port where the service answers', async (t) => {
  const dockerfile = readFileSync(join(DEPLOY, '../Dockerfile'), 'utf8');
  const healthUrl = /^HEALTHCHECK[\s\S]*?(http:[^']*)/m.exec(dockerfile)?.[1] ?? '';
  const metrics = aionbd.command?.find((word) => word.startsWith('--metrics=')) ?? '';
  t.equal(new URL(healthUrl).pathname, '/healthz');
  t.equal(new URL(healthUrl).port, metrics.slice(metrics.lastIndexOf(':') + 1));
  t.equal(aionbd.healthcheck, undefined, 'nothing else is asked');
});

t.test('Prometheus accepts its configuration, and scrapes what aionbd shows', async (t) => {
  const file = /--config\.file=(\S+)/.exec(prometheus.command!.join(' '))?.[1];
  const source = sourceOf(prometheus, file!)!;
  // Beside it are the rules, as on this machine so in the container.
  const config = parse(readFileSync(source, 'utf8')) as {
    rule_files: string[];
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
  };
  for (const rules of config.rule_files) {
    t.ok(existsSync(sourceOf(prometheus, resolve(file!, '..', rules))!), rules);
  }
  const { code, stdout, stderr } = await run('promtool', ['check', 'config', source]);
  t.equal(code, 0, stdout + stderr);
  t.match(stdout, '20 rules found');
  const job = config.scrape_configs.find(({ job_name }) => job_name === 'aionbd');
  t.strictSame(job?.static_configs[0]?.targets, ['aionbd:9809']);
});

t.test('Grafana finds Prometheus and the dashboard', async (t) => {
  const folder = sourceOf(grafana, '/etc/grafana/provisioning')!;
  t.strictSame(readdirSync(folder).sort(), ['dashboards', 'datasources']);
  const { datasources } = yaml('grafana/provisioning/datasources/prometheus.yaml') as {
    datasources: { uid: string; type: string; url: string; isDefault: boolean }[];
  };
  t.equal(datasources.length, 1);
  const [datasource] = datasources;
  const { hostname, port } = new URL(datasource!.url);
  t.ok(hostname in compose.services, `${hostname} is a service`);
  t.equal(port, prometheus.ports[0]?.split(':')[2]);
  const { providers } = yaml('grafana/provisioning/dashboards/aionbd.yaml') as {
    providers: { type: string; options: { path: string } }[];
  };
  for (const { options } of providers) {
    t.ok(existsSync(sourceOf(grafana, `${options.path}/aionbd.json`)!), options.path);
  }
  const home = grafana.environment!.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH!;
  t.equal(sourceOf(grafana, home), join(DEPLOY, 'grafana/aionbd.json'));
  checkDatasources(t, readFileSync(join(DEPLOY, 'grafana/aionbd.json'), 'utf8'), datasource!);
});

/** Panels ask the source that the variable says, which is a Prometheus; there is one, and it is the default. */
function checkDatasources(t: Test, text: string, { uid, type, isDefault }: Record<string, unknown>): void {
  const dashboard = JSON.parse(text) as {
    templating: { list: { name: string; type: string; query?: unknown }[] };
  };
  const asked = new Set([...text.matchAll(/"type": "prometheus",\s*"uid": "([^"]+)"/g)].map(([, id]) => id));
  t.ok(asked.size > 0);
  for (const id of asked) t.ok(id === uid || /^\$\{datasource\}$/.test(id ?? ''), `a panel asks ${id}`);
  const variable = dashboard.templating.list.find(({ name }) => name === 'datasource');
  t.match(variable, { type: 'datasource', query: type });
  t.equal(isDefault, true);
}
