#!/usr/bin/env node
// Pictures of the status page for docs/images: a server with some exports under load, seen at desktop and phone width, light
// and dark. Needs Debian's chromium and fio.
//
//     npm run build && node scripts/screenshots.mjs [FOLDER]

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LOAD_SECONDS = 75;
const VIEWS = [
  { name: 'status-page', width: 1200, height: 900 },
  { name: 'status-page-phone', width: 360, height: 780 },
];

const folder = process.argv[2] ?? join(ROOT, 'docs/images');
mkdirSync(folder, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'aionbd-screenshots-'));
const children = [];
try {
  const url = await startServer();
  startLoad();
  await takePictures(url);
} finally {
  for (const child of children) child.kill('SIGTERM');
  await sleep(500);
  rmSync(work, { recursive: true, force: true });
}

function start(program, args) {
  const child = spawn(program, args, { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  return child;
}

async function startServer() {
  const exports = [
    ['web', '20G', 'Web server'],
    ['database', '8G', 'PostgreSQL, nightly copy'],
    ['build-cache', '64G', ''],
    ['photos', '512G', 'Family pictures'],
    ['scratch', '1G', ''],
  ];
  for (const [name, size] of exports) {
    writeFileSync(join(work, `${name}.img`), '');
    truncateSync(join(work, `${name}.img`), Number.parseInt(size, 10) * 1024 ** 3);
  }
  const flags = exports.flatMap(([name, , description]) => {
    const more = `${name === 'photos' ? ',readonly' : ''}${name === 'scratch' ? ',direct=off' : ''}`;
    return [
      '--export',
      `name=${name},path=${name}.img${description && `,description=${description.replaceAll(',', ',,')}`}${more}`,
    ];
  });
  // sysfs does no direct I/O: something to be warned of.
  flags.push('--export', 'name=kernel-types,path=/sys/kernel/btf/vmlinux,readonly');
  const server = start(process.execPath, [
    join(ROOT, 'dist/cli/main.js'),
    ...[
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--listen',
      'unix:s',
      '--metrics',
      '127.0.0.1:0',
      '--log-format',
      'json',
    ],
    ...flags,
  ]);
  let log = '';
  server.stderr.on('data', (chunk) => {
    log += chunk;
  });
  for (;;) {
    const url = /"url":"(http:[^"]*)\/metrics"/.exec(log)?.[1];
    if (url !== undefined) return url;
    if (server.exitCode !== null) throw new Error(`the server has ended: ${log}`);
    await sleep(50);
  }
}

function startLoad() {
  const fio = (name, ...more) =>
    start('fio', [
      ...[
        '--ioengine=nbd',
        `--uri=nbd+unix:///${name}?socket=${work}/s`,
        '--time_based',
        `--runtime=${LOAD_SECONDS}`,
      ],
      ...[`--name=${name}`, '--size=512M', ...more],
    ]).stderr.resume();
  fio('web', '--rw=randrw', '--rwmixread=70', '--bs=4k', '--iodepth=8', '--rate_iops=9000,4000');
  fio('database', '--rw=randwrite', '--bs=8k', '--iodepth=4', '--fsync=32', '--rate_iops=3000');
  fio('photos', '--rw=read', '--bs=256k', '--iodepth=4', '--rate=300m', '--startdelay=20');
}

async function takePictures(url) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const pages = [];
    for (const colorScheme of ['light', 'dark']) {
      for (const { name, width, height } of VIEWS) {
        const page = await browser.newPage({ viewport: { width, height }, colorScheme });
        await page.goto(url);
        pages.push([page, `${name}-${colorScheme}.png`]);
      }
    }
    await sleep((LOAD_SECONDS - 15) * 1000);
    for (const [page, file] of pages) {
      await page.screenshot({ path: join(folder, file) });
      console.log(join(folder, file));
    }
  } finally {
    await browser.close();
  }
}
