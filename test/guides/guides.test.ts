// README and guides, followed literally: what they tell to type is typed, and what they say is printed has to be printed.
// README.md in this folder tells how, and which comments in the documents steer it.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { scratch } from '../support/files.js';
import { describe, type RunResult, run } from '../support/programs.js';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const WORLD = `${CHECKOUT}/test/guides/world.sh`;
const LIMIT_SECONDS = 180;

/** As parse.mjs does, which is no TypeScript; a document says so in a comment of its own. */
const IN_UML = /^<!-- follow in User Mode Linux -->$/m;

const documents = [
  'README.md',
  ...readdirSync(`${CHECKOUT}/docs/guides`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/guides/${name}`),
];

t.setTimeout((LIMIT_SECONDS + 30) * 1000);
// Most of the time they wait for programs, so they need not wait for each other.
t.jobs = 2;

for (const document of documents) {
  const uml = IN_UML.test(readFileSync(`${CHECKOUT}/${document}`, 'utf8'));
  t.test(`what ${document} says is so`, async (t) => {
    const folder = scratch(t);
    const place = join(folder, 'place');
    const report = join(folder, 'report');
    mkdirSync(place);
    const world = {
      checkout: CHECKOUT,
      place,
      report,
      document: `${CHECKOUT}/${document}`,
      node: process.execPath,
    };
    const end = await (uml ? inUml(world) : inNamespaces(world));
    const lines = existsSync(report) ? readFileSync(report, 'utf8').trimEnd().split('\n') : [];
    for (const line of lines) {
      if (/^(not )?ok - /.test(line)) t.ok(line.startsWith('ok'), line.replace(/^(not )?ok - /, ''));
      else if (line.startsWith('left out - ')) t.comment(line);
    }
    const count = (form: RegExp) => lines.filter((line) => form.test(line)).length;
    t.comment(`${document}: ${count(/^(not )?ok - /)} steps done, ${count(/^left out - /)} left out`);
    const complete = lines.at(-1) === 'done' && lines.some((line) => line.startsWith('ok'));
    t.ok(complete, 'it is followed to the end');
    if (!complete || lines.some((line) => line.startsWith('not ok'))) {
      console.error([...lines.filter((line) => line.startsWith('#')), describe(end)].join('\n'));
    }
  });
}

type World = Readonly<Record<string, string>>;

function inNamespaces(world: World): Promise<RunResult> {
  const own = [
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--propagation',
    'private',
  ];
  return run('unshare', [...own, 'bash', WORLD], { env: world, timeoutMs: LIMIT_SECONDS * 1000 });
}

function inUml(world: World): Promise<RunResult> {
  const machine = ['mem=1G', 'rootfstype=hostfs', 'rootflags=/', 'rw', 'quiet', 'con=null', 'con0=null,fd:1'];
  const words = Object.entries({ ...world, uml: '1' }).map(([key, value]) => `${key}=${value}`);
  return run(
    'timeout',
    [
      '-k',
      '5',
      String(LIMIT_SECONDS),
      'linux.uml',
      ...machine,
      `umid=aionbd-${process.pid}-guide`,
      `init=${WORLD}`,
      ...words,
    ],
    { timeoutMs: (LIMIT_SECONDS + 15) * 1000, deathSignal: 'TERM' },
  );
}
