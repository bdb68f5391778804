import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { readServeQuickly } from '../../src/cli/quick.js';
import { serveConfig } from '../../src/config/serve-config.js';
import { scratch } from '../support/files.js';
import { must, run } from '../support/programs.js';

const UNITS = fileURLToPath(new URL('../../deploy/systemd/', import.meta.url));
const names = readdirSync(UNITS);
const text = (name: string) => readFileSync(join(UNITS, name), 'utf8');

/** The units as on a machine that has aionbd installed; manual pages apart, which systemd looks for with man. */
function installed(t: Test): string {
  const folder = scratch(t);
  for (const name of names) {
    const unit = text(name)
      .replace(/\/usr\/bin\/aionbd[\w-]*/g, '/bin/true')
      .replace(/^Documentation=.*$/m, '');
    writeFileSync(join(folder, name), unit);
  }
  return folder;
}

t.test('systemd finds nothing wrong with the units', async (t) => {
  const folder = installed(t);
  t.strictSame(names.sort(), [
    'aionbd-attach@.service',
    'aionbd.service',
    'aionbd.socket',
    'aionbd@.service',
  ]);
  for (const name of names) {
    const { code, stdout, stderr } = await run('systemd-analyze', ['verify', join(folder, name)]);
    t.strictSame({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' }, name);
  }
});

t.test('a unit with a mistake is found out', async (t) => {
  const path = join(scratch(t), 'wrong.service');
  writeFileSync(path, '[Service]\nType=notify\nExecStart=/bin/true\nNoNewPriviliges=yes\n');
  const { stderr } = await run('systemd-analyze', ['verify', path]);
  t.match(stderr, /NoNewPriviliges/);
});

for (const [name, most] of [
  ['aionbd.service', 1.9],
  ['aionbd@.service', 1.6],
  ['aionbd-attach@.service', 2.9],
] as const) {
  t.test(`${name} is exposed to at most ${most} of 10`, async (t) => {
    const shown = await must('systemd-analyze', [
      'security',
      '--offline=true',
      '--no-pager',
      join(UNITS, name),
    ]);
    const level = Number(/Overall exposure level for .*: ([\d.]+)/.exec(shown)?.[1]);
    t.ok(level > 0 && level <= most, `it is ${level}`);
  });
}

t.test('the command of each unit of a server is one that aionbd takes', async (t) => {
  for (const name of ['aionbd.service', 'aionbd@.service']) {
    const command = /^ExecStart=\/usr\/bin\/aionbd (.*)$/m.exec(text(name))?.[1];
    const words = command!
      .replaceAll('%i', 'vm1')
      .replace('$AIONBD_ARGS', '/var/lib/aionbd/disk.img')
      .split(' ');
    const flags = readServeQuickly(words);
    t.ok(flags, `${name}: ${command}`);
    const config = serveConfig(flags!, name === 'aionbd.service');
    t.ok(config.metrics?.required, 'with a metrics page that is asked for');
    t.equal(config.logLevel, 'info');
    t.equal(config.server.onStop, 'disconnect', 'clients that are attached outlive a restart');
  }
});
