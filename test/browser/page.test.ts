// The status page in a real browser, with a real server behind it.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { glued } from '../../page/format.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { ended, tied } from '../support/programs.js';
import { type ExportSpec, type RunningServer, serve } from '../support/server.js';

const WAIT_MS = 30_000;
const CHROMIUM = '/usr/bin/chromium';
/** A file that can't be opened with O_DIRECT. */
const NO_DIRECT_IO = '/proc/self/comm';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser: Browser;

t.before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
});
t.teardown(() => browser.close());

interface Opened {
  readonly page: Page;
  /** What the browser complained of: errors, and what the policy forbade. */
  readonly complaints: readonly string[];
}

async function open(
  t: Test,
  url: string,
  view: { readonly width: number; readonly colorScheme?: 'light' | 'dark' },
): Promise<Opened> {
  const { width, colorScheme = 'light' } = view;
  const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
  page.setDefaultTimeout(WAIT_MS);
  t.teardown(() => page.close());
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  await page.goto(url);
  await page.locator('#link', { hasText: 'live' }).waitFor();
  return { page, complaints };
}

async function start(t: Test, exports: readonly ExportSpec[]) {
  const args = ['--metrics', '127.0.0.1:0', '--log-format', 'json'];
  const server = await serve(t, { exports, args });
  return { server, url: /"url":"(http:[^"]*)\/metrics"/.exec(server.log())![1]! };
}

/** Leads to one server and then another: the port of one that has ended may be somebody else's by then. */
async function addressThatStays(t: Test, url: string) {
  let target = url;
  const proxy = createServer((socket) => {
    const onward = connect(Number(new URL(target).port), '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
    sockets.add(socket);
  });
  const sockets = new Set<Socket>();
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    leadsTo(other: string) {
      target = other;
    },
  };
}

/** A client that reads and writes until the test is over. */
function load(t: Test, server: RunningServer, name: string): () => Promise<void> {
  const args = ['--ioengine=nbd', `--uri=${server.uri(name)}`, '--rw=randrw', '--bs=4k', '--size=8M'];
  const more = ['--rate_iops=200,200', '--time_based', '--runtime=120', '--name=x'];
  const child = spawn(...tied('fio', [...args, ...more], 'TERM'), { stdio: 'ignore' });
  const stop = async () => {
    child.kill('SIGINT');
    await ended(child, WAIT_MS);
  };
  t.teardown(stop);
  return stop;
}

const rows = (page: Page, table: string) => page.locator(`#${table} tbody tr`);

const scrollsSideways = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/** What axe finds wrong with the page, in its words. */
async function faults(page: Page): Promise<string[]> {
  // By the debugger, which the page's policy does not bind.
  await page.evaluate(AXE);
  return await page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

t.test('during load charts move, a new client appears, and a fallback is warned of', async (t) => {
  const folder = scratch(t);
  const { server, url } = await start(t, [
    { name: 'disk', path: sparseFile(join(folder, 'disk'), 8 * MiB) },
    { name: '<img src=x onerror=alert(1)> & "co"', path: sparseFile(join(folder, 'html'), MiB) },
    { name: 'comm', path: NO_DIRECT_IO, readOnly: true },
  ]);
  const { page, complaints } = await open(t, url, { width: 1200 });
  await page.locator('#warnings li.buffered-fallback', { hasText: 'does not do direct I/O' }).waitFor();
  await rows(page, 'exports').getByText('<img src=x onerror=alert(1)> & "co"', { exact: true }).waitFor();
  t.equal(await rows(page, 'connections').count(), 0);

  const stop = load(t, server, 'disk');
  const client = rows(page, 'connections').first();
  await client.getByText('structured replies').waitFor();
  await client.getByText(/requests\/s/).waitFor();
  const chart = page.locator('.chart', { hasText: 'Throughput' });
  await chart
    .getByText(/[1-9].*KiB\/s/)
    .first()
    .waitFor();
  const drawn = () => chart.locator('canvas').evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
  const before = await drawn();
  await page.waitForFunction(
    (old) => document.querySelector<HTMLCanvasElement>('.chart canvas')?.toDataURL() !== old,
    before,
  );
  t.not(await drawn(), before, 'the chart moves');

  await page.locator('#exports').getByRole('button', { name: 'disk', exact: true }).click();
  t.equal(await page.locator('#scope').inputValue(), '=disk', 'a click shows the charts of one export');
  t.same(await faults(page), [], 'axe finds nothing wrong');
  await stop();
  await page.getByText('Nobody is connected.').waitFor();
  t.same(complaints, []);
});

for (const colorScheme of ['light', 'dark'] as const) {
  t.test(`at a phone's width nothing is cut off, and all can be read (${colorScheme})`, async (t) => {
    const name = `a-very-long-name-${'without-end-'.repeat(12)}`;
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const { server, url } = await start(t, [{ name, path }]);
    load(t, server, name);
    const { page, complaints } = await open(t, url, { width: 360, colorScheme });
    await rows(page, 'connections').first().waitFor();
    t.notOk(await scrollsSideways(page));
    t.same(await faults(page), [], 'axe finds nothing wrong');
    t.same(complaints, []);
  });
}

/** Numbers with their units that a reader of the page finds: what may be broken between the two, and what is. */
function measures(page: Page): Promise<{ found: string[]; breakable: string[]; broken: string[] }> {
  return page.evaluate(() => {
    const form = /\d\s(?:[KMGTP]iB|B|µs|ms|s|min|h|d|requests)(?![a-z])/g;
    const [found, breakable, broken]: string[][] = [[], [], []];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
      const text = node.textContent ?? '';
      for (const { 0: match, index } of text.matchAll(form)) {
        found!.push(text);
        if (match.includes(' ') && getComputedStyle(node.parentElement!).whiteSpace !== 'nowrap')
          breakable!.push(text);
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + match.length);
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
        if (lines.size > 1) broken!.push(text);
      }
    }
    return { found: found!, breakable: breakable!, broken: broken! };
  });
}

t.test('a number and its unit are on one line, however wide the page is', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), 8 * MiB);
  const { server, url } = await start(t, [{ name: 'disk', path }]);
  load(t, server, 'disk');
  // Disks are probed for whoever asks for their health.
  t.equal((await fetch(`${url}/healthz`)).status, 200);
  const { page } = await open(t, url, { width: 1200 });
  await rows(page, 'exports')
    .getByText(/^p50 .*s$/)
    .waitFor();
  await rows(page, 'exports')
    .getByText(/^probe .*s$/)
    .waitFor();
  await rows(page, 'connections')
    .getByText(/requests\/s/)
    .waitFor();
  for (const width of [320, 360, 500, 721, 900, 1024, 1200, 1600]) {
    await page.setViewportSize({ width, height: 800 });
    const { found, breakable, broken } = await measures(page);
    t.ok(found.length >= 12, `${found.length} at ${width} pixels`);
    t.same({ breakable, broken }, { breakable: [], broken: [] }, `none is broken at ${width} pixels`);
  }
});

t.test('in what the server says a number stays with its unit, too', async (t) => {
  t.equal(glued('waits for 30 s, 1.5 GiB or 3 % left'), 'waits for 30\u00a0s, 1.5\u00a0GiB or 3\u00a0% left');
  t.equal(glued('2 stops, 4 clients'), '2 stops, 4 clients');
});

t.test('a server that goes away is said to, and found again when it is back', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const first = await start(t, [{ name: 'first', path }]);
  const address = await addressThatStays(t, first.url);
  const { page } = await open(t, address.url, { width: 1200 });
  await rows(page, 'exports').getByText('first', { exact: true }).waitFor();
  await first.server.stop(t);
  await page.locator('#link', { hasText: 'not connected' }).waitFor();
  t.equal(await page.title(), 'aionbd: not connected');
  const second = await start(t, [{ name: 'second', path }]);
  address.leadsTo(second.url);
  await page.locator('#link', { hasText: 'live' }).waitFor();
  await rows(page, 'exports').getByText('second', { exact: true }).waitFor();
  t.equal(await page.title(), 'aionbd');
});

t.test('a thousand exports are filtered, sorted and paged by keyboard', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const exports = Array.from({ length: 1000 }, (_, i) => ({ name: `disk-${i}`, path }));
  const { url } = await start(t, exports);
  const { page, complaints } = await open(t, url, { width: 1200 });
  await page.getByText('1–50 of 1000', { exact: true }).waitFor();
  t.equal(await rows(page, 'exports').count(), 50);
  const first = () => rows(page, 'exports').first().locator('th button').textContent();
  t.equal(await first(), 'disk-0');

  const section = page.locator('#exports');
  await section.getByRole('button', { name: 'Exports: next' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('51–100 of 1000', { exact: true }).waitFor();
  t.equal(await first(), 'disk-50');
  await section.getByRole('button', { name: 'Export', exact: true }).focus();
  await page.keyboard.press('Space');
  t.equal(await first(), 'disk-999', 'sorted the other way round, from the beginning');
  t.equal(await section.getByRole('columnheader').first().getAttribute('aria-sort'), 'descending');
  await section.getByRole('searchbox').focus();
  await page.keyboard.type('disk-77');
  await page.getByText('11 of 1000', { exact: true }).waitFor();
  t.equal(await rows(page, 'exports').count(), 11);
  t.same(complaints, []);
});

t.test('colours are as the system has them, or as the button says, also the next time', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const { url } = await start(t, [{ name: 'disk', path }]);
  const { page } = await open(t, url, { width: 1200, colorScheme: 'dark' });
  const isDark = () => page.evaluate(() => document.documentElement.hasAttribute('data-dark'));
  t.ok(await isDark());
  await page.emulateMedia({ colorScheme: 'light' });
  await page.waitForFunction(() => !document.documentElement.hasAttribute('data-dark'));
  const button = page.getByRole('button', { name: /^Colours/ });
  await button.click();
  await button.click();
  t.ok(await isDark());
  await page.reload();
  t.ok(await isDark(), 'it was remembered');
});
