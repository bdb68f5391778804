// aionbd top in a real terminal, which is tmux's. Everything waits for what is to be seen, never for a time.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ServerSnapshot } from '../../src/metrics/snapshot.js';
import { busy } from '../monitor/made-up.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { must, run } from '../support/programs.js';
import { MAIN, serve } from '../support/server.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ } from '../transmission/wire.js';

const PATIENCE_MS = 30_000;

interface Terminal {
  /** What is to be seen. */
  screen(): Promise<string>;
  /** Waits until that holds, and returns the screen. */
  sees(...parts: readonly (string | RegExp)[]): Promise<string>;
  /** The screen with its SGR sequences. */
  attributes(): Promise<string>;
  press(...keys: readonly string[]): Promise<void>;
  resize(width: number, height: number): Promise<void>;
  /** tmux's word for something, such as `#{cursor_flag}`. */
  asks(format: string): Promise<string>;
}

/** The shell outlives top, so that one can see what is left of the terminal. */
const THEN_STAY = (top: string) => `echo before; ${top}; echo "ended with $?"; stty -a; exec cat`;

/** A terminal in which a shell runs `aionbd top`, and by default says then how it has ended. */
async function terminal(
  t: Test,
  address: string,
  env = 'LC_ALL=C.UTF-8',
  size = [80, 24],
  scriptWith = THEN_STAY,
): Promise<Terminal> {
  const socket = join(scratch(t), 'tmux');
  const tmux = async (...args: string[]) =>
    await must('tmux', ['-S', socket, '-f', '/dev/null', '-u', ...args]);
  const top = `env -u NODE_OPTIONS -u NO_COLOR -u FORCE_COLOR ${env} '${process.execPath}' '${MAIN}' top '${address}'`;
  const [width, height] = size.map(String) as [string, string];
  await tmux('new-session', '-d', '-x', width, '-y', height, 'sh', '-c', scriptWith(top));
  t.teardown(() => run('tmux', ['-S', socket, 'kill-server']));
  const screen = () => tmux('capture-pane', '-p');
  return {
    screen,
    async sees(...parts) {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        const seen = await screen();
        if (parts.every((part) => (typeof part === 'string' ? seen.includes(part) : part.test(seen)))) {
          t.pass(`to be seen: ${parts.join(', ')}`);
          return seen;
        }
        if (Date.now() > deadline) throw new Error(`not to be seen: ${parts.join(', ')}\n${seen}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    attributes: () => tmux('capture-pane', '-p', '-e'),
    async press(...keys) {
      await tmux('send-keys', ...keys);
    },
    async resize(columns, rows) {
      await tmux('resize-window', '-x', String(columns), '-y', String(rows));
    },
    async asks(format) {
      return (await tmux('display-message', '-p', format)).trim();
    },
  };
}

/** A server that is made up and grows by a second each time that it is asked. */
async function madeUp(t: Test, port = 0): Promise<{ address: string; port: number; close(): Promise<void> }> {
  let seconds = 0;
  const answer: RequestListener = (_, response) => {
    seconds++;
    const state: ServerSnapshot = busy(seconds);
    response.end(JSON.stringify(state));
  };
  const server: Server = createServer(answer).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  t.teardown(close);
  const bound = (server.address() as AddressInfo).port;
  return { address: `127.0.0.1:${bound}`, port: bound, close };
}

t.test('the screen is drawn, goes on, and obeys its keys', async (t) => {
  const { address } = await madeUp(t);
  const top = await terminal(t, address);
  const first = await top.sees('vm1.img', /IOPS +143k/, 'q quit', 'データベース');
  t.equal(first.split('\n').filter((line) => line.startsWith('EXPORT')).length, 1);
  t.match(first, /HEALTH$/m, 'the last column is whole');
  await top.press('c');
  await top.sees(/^CLIENT /m, '127.0.0.1:40001');
  await top.press('t');
  await top.sees('TURNS/s');
  await top.press('w');
  await top.sees('HANDSHAKES THAT LED TO NOTHING', 'unknown_export');
  await top.press('?');
  await top.sees('Ctrl-C');
  await top.press('Escape');
  await top.sees(/^EXPORT /m);
  await top.press('S');
  await top.sees(/^EXPORT .*\na-very-long/m);
  await top.press('p');
  const paused = await top.sees('PAUSED');
  await top.press('p');
  const later = await top.sees(/serving for \d+s/, 'q quit');
  t.ok(secondsOf(later) >= secondsOf(paused));
});

function secondsOf(screen: string): number {
  return Number(/serving for (\d+)s/.exec(screen)?.[1]);
}

t.test('another size is another screen, however small', async (t) => {
  const { address } = await madeUp(t);
  const top = await terminal(t, address);
  await top.sees(/^EXPORT /m, /^vm1\.img/m);
  await top.resize(140, 40);
  await top.sees('DISK P99', 'MODE', /HEALTH$/m, '██');
  await top.resize(30, 8);
  await top.sees(/^q quit/m, /^aionbd .*…$/m);
  await top.resize(80, 24);
  await top.sees(/HEALTH$/m, /^vm1\.img/m);
});

for (const [how, keys, code] of [
  ['q', ['q'], 0],
  ['Ctrl-C', ['C-c'], 0],
] as const) {
  t.test(`${how} gives the terminal back as it was`, async (t) => {
    const { address } = await madeUp(t);
    const top = await terminal(t, address);
    await top.sees('vm1.img');
    t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '1 0 0');
    await top.press(...keys);
    const after = await top.sees(`ended with ${code}`, 'before', /[^-]icanon/, /[^-]echo\b/);
    t.notMatch(after, 'vm1.img');
    t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1');
  });
}

/** Of the only child of the terminal's shell. */
async function pidOf(top: Terminal): Promise<number> {
  const shell = await top.asks('#{pane_pid}');
  return Number((await must('ps', ['--no-headers', '-o', 'pid', '--ppid', shell])).trim());
}

t.test('a signal gives the terminal back, too', async (t) => {
  const { address } = await madeUp(t);
  const top = await terminal(t, address);
  await top.sees('vm1.img');
  process.kill(await pidOf(top), 'SIGTERM');
  await top.sees('ended with 143', 'before', /[^-]icanon/);
  t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1');
});

/** A shell with job control; after each stop it says how the terminal is, and goes on with top at Enter. */
const WITH_JOBS = (top: string) =>
  `set -m; echo before; ${top}; while [ $? -gt 128 ]; do stty -a; echo stopped; read -r line; clear; eval "$line"; fg; done; ` +
  'echo "ended with $?"; stty -a; exec cat';
const SANE = ['stopped', /[^-]icanon/, /[^-]echo\b/] as const;

t.test('Ctrl-Z leads to the shell and its terminal, and fg back to a screen that is whole', async (t) => {
  const { address } = await madeUp(t);
  const top = await terminal(t, address, undefined, undefined, WITH_JOBS);
  for (const [width, height] of [
    [80, 24],
    [140, 40],
  ] as const) {
    await top.sees('vm1.img', /HEALTH$/m);
    await top.press('C-z');
    const stopped = await top.sees(...SANE);
    t.notMatch(stopped, 'vm1.img');
    t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1');
    // Of this only those in the foreground are told.
    await top.resize(width, height);
    await top.press('Enter');
  }
  await top.sees('vm1.img', 'DISK P99', 'q quit');
  t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '1 0 0');
  await top.press('c');
  await top.sees(/^CLIENT /m);
  await top.press('q');
  await top.sees('ended with 0', /[^-]icanon/, /[^-]echo\b/);
  t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1');
});

t.test(
  'SIGTSTP from elsewhere stops it, too, and in the background it leaves the terminal alone',
  async (t) => {
    const { address } = await madeUp(t);
    const top = await terminal(t, address, undefined, undefined, WITH_JOBS);
    await top.sees('vm1.img');
    process.kill(await pidOf(top), 'SIGTSTP');
    await top.sees('before', ...SANE);
    // What is continued in the background stops by itself as soon as it wants the terminal.
    const said = join(scratch(t), 'jobs');
    const waits = `until grep -q tty '${said}'; do jobs >'${said}'; done`;
    await top.press(
      `: >'${said}'; bg; ${waits}; stty -a; echo in "the background"; read -r line; clear`,
      'Enter',
    );
    // As it was typed there is a quote in it.
    t.notMatch(await top.sees('in the background', ...SANE.slice(1)), 'vm1.img');
    t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1');
    await top.press('Enter');
    await top.sees('vm1.img', 'q quit', /HEALTH$/m);
    t.same(await top.asks('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '1 0 0');
    await top.press('q');
    await top.sees('ended with 0');
  },
);

t.test('Ctrl-Z stops whoever has started it as well', async (t) => {
  const { address } = await madeUp(t);
  const inScript = (top: string) => WITH_JOBS(`sh -c "${top}; true"`);
  const top = await terminal(t, address, undefined, undefined, inScript);
  await top.sees('vm1.img');
  await top.press('C-z');
  await top.sees('before', ...SANE);
  await top.press('Enter');
  await top.sees('vm1.img', 'q quit');
  await top.press('q');
  await top.sees('ended with 0');
});

t.test('where no shell could bring it back Ctrl-Z does nothing', async (t) => {
  const { address } = await madeUp(t);
  const top = await terminal(t, address);
  await top.sees('vm1.img');
  await top.press('C-z', 'c');
  await top.sees(/^CLIENT /m);
  const pid = await pidOf(top);
  process.kill(pid, 'SIGTSTP');
  await top.press('t');
  await top.sees('TURNS/s');
  await top.press('q');
  await top.sees('ended with 0');
});

t.test('it says that the server is gone, and goes on when it is back', async (t) => {
  const { address, port, close } = await madeUp(t);
  const top = await terminal(t, address);
  await top.sees(/IOPS +143k/);
  await close();
  await top.sees('the server is gone for', 'trying again: nothing listens there', 'vm1.img');
  await madeUp(t, port);
  const deadline = Date.now() + PATIENCE_MS;
  let screen = await top.screen();
  while (screen.includes('gone') && Date.now() < deadline) screen = await top.screen();
  t.notMatch(screen, 'gone');
  t.match(screen, 'vm1.img');
});

t.test('where there was never a server it waits for one', async (t) => {
  const first = await madeUp(t);
  await first.close();
  const top = await terminal(t, first.address);
  await top.sees('no server for', 'nothing listens there');
  await madeUp(t, first.port);
  await top.sees('vm1.img', /IOPS +143k/);
});

t.test('without UTF-8 there is ASCII alone', async (t) => {
  const { address } = await madeUp(t);
  const top = await terminal(t, address, 'LC_ALL=C');
  const screen = await top.sees('vm1.img', 'us');
  t.notMatch(screen, /[^\n\x20-\x7e]/);
});

t.test('colour is there unless NO_COLOR is set', async (t) => {
  const { address } = await madeUp(t);
  for (const [env, has] of [
    ['LC_ALL=C.UTF-8', true],
    ['LC_ALL=C.UTF-8 NO_COLOR=1', false],
  ] as const) {
    const top = await terminal(t, address, env);
    await top.sees('vm1.img', 'q quit');
    t.equal((await top.attributes()).includes('\x1b[1m'), has, env);
  }
});

t.test('it shows what the clients of a real server do', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk.img'), MiB);
  const metrics = join(scratch(t), 'm');
  const server = await serve(t, {
    exports: [{ name: 'disk.img', path }],
    args: ['--metrics', `unix:${metrics}`],
  });
  const client = await RawClient.open({ kind: 'unix', path: server.socketPath }, 'disk.img');
  const top = await terminal(t, `unix:${metrics}`, 'LC_ALL=C.UTF-8', [140, 40]);
  await top.sees(/^disk\.img /m, /clients +1\b/);
  let loading = true;
  const load = (async () => {
    while (loading) {
      await client.errorOf({ type: READ, offset: 0, length: 4096 });
      await client.errorOf({ type: READ, offset: 2 * MiB, length: 4096 });
    }
  })();
  await top.sees(/IOPS +[1-9]/, /^disk\.img +[1-9]/m, /errors +[1-9]/);
  await top.press('c');
  await top.sees(/^unix +1 disk\.img +[1-9]/m);
  loading = false;
  await load;
  await client.destroy();
  await top.sees('nobody is connected');
  await server.stop(t);
  await top.sees('the server is gone');
});
