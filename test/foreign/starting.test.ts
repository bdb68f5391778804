// The ways to be started that others ask for: by a client that opens the socket, by a service manager, for one client, for the
// length of a command.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { patternFile, scratch, sparseFile } from '../support/files.js';
import { must, run } from '../support/programs.js';
import { assertVerdicts } from '../support/python.js';
import { MAIN } from '../support/server.js';

const SIZE_BYTES = 8 * 1024 * 1024;
const SERVE = [process.execPath, MAIN, 'serve'];

const image = (t: Test) => sparseFile(join(scratch(t), 'disk.img'), SIZE_BYTES);

t.test('nbdinfo starts the server that it asks', async (t) => {
  const file = image(t);
  const { stdout, stderr, code } = await run('nbdinfo', ['--json', '--', '[', ...SERVE, file, ']']);
  t.equal(code, 0, stderr);
  t.equal(JSON.parse(stdout).exports[0]['export-size'], SIZE_BYTES, 'and its own output is all there is');
  t.equal(stderr, '', 'nor is anything said that it did not ask for');
});

t.test('nbdcopy copies from one of our servers to another, both started by it', async (t) => {
  const from = patternFile(join(scratch(t), 'from.img'), SIZE_BYTES, 7);
  const to = image(t);
  await must('nbdcopy', ['--', '[', ...SERVE, from, ']', '[', ...SERVE, to, ']']);
  t.ok(readFileSync(to).equals(readFileSync(from)), 'the copy is the same');
});

t.test('a service manager opens the socket and hears how the server is', async (t) => {
  await assertVerdicts(t, 'service_manager.py', [process.execPath, MAIN, image(t)]);
});

t.test('one client on stdin and stdout is served', async (t) => {
  await assertVerdicts(t, 'one_client.py', [process.execPath, MAIN, image(t)]);
});

t.test('--run serves as long as the command runs, and ends as it does', async (t) => {
  const file = image(t);
  const folder = scratch(t);
  const env = { TMPDIR: folder };
  const script =
    'nbdinfo --size "$uri" && nbdinfo --size "nbd+unix:///$exportname?socket=$unixsocket"; exit 3';
  const ended = await run(SERVE[0]!, [...SERVE.slice(1), file, '--run', script], { env });
  t.equal(ended.code, 3, ended.stderr);
  t.equal(ended.stdout, `${SIZE_BYTES}\n${SIZE_BYTES}\n`, 'stdout is the command’s alone');
  t.equal(ended.stderr, '');
  t.strictSame(readdirSync(folder), [], 'nothing of the private socket is left');
});

t.test('--run gives the command the addresses of --listen', async (t) => {
  const file = image(t);
  const script = 'echo "$host:$port $uri"';
  const ended = await run(SERVE[0]!, [...SERVE.slice(1), file, '-l', '127.0.0.1:0', '--run', script]);
  t.match(ended.stdout, /^127\.0\.0\.1:(\d+) nbd:\/\/127\.0\.0\.1:\1\/\n$/);
  t.equal(ended.code, 0);
});

t.test('a command that a signal ends, ends the server with 128 and the signal', async (t) => {
  const ended = await run(SERVE[0]!, [...SERVE.slice(1), image(t), '--run', 'kill -9 $$']);
  t.equal(ended.code, 137);
});

t.test('the pid file is there while clients can connect, and gone after', async (t) => {
  const file = image(t);
  const pidFile = join(scratch(t), 'pid');
  const script = `cat ${pidFile}; ps -o ppid= -p $$`;
  const ended = await run(SERVE[0]!, [...SERVE.slice(1), file, '--pid-file', pidFile, '--run', script]);
  const [written, parent] = ended.stdout.split('\n').map(Number);
  t.ok(written! > 1 && written === parent, 'it holds the process id of the server', { ended });
  t.notOk(existsSync(pidFile));
});

t.test('a pid file that another server has written since stays', async (t) => {
  const file = image(t);
  const pidFile = join(scratch(t), 'pid');
  const args = [...SERVE.slice(1), file, '--pid-file', pidFile, '--run', `echo 1 > ${pidFile}`];
  t.equal((await run(SERVE[0]!, args)).code, 0);
  t.equal(readFileSync(pidFile, 'utf8'), '1\n');
});

t.test('a signal to the server ends the command, and the private socket is gone', async (t) => {
  const folder = scratch(t);
  const file = image(t);
  const script = 'trap "echo told; exit 0" TERM; kill $PPID; while :; do sleep 0.05; done';
  const ended = await run(SERVE[0]!, [...SERVE.slice(1), file, '--run', script], { env: { TMPDIR: folder } });
  t.equal(ended.stdout, 'told\n', ended.stderr);
  t.equal(ended.code, 0);
  t.strictSame(readdirSync(folder), []);
});

t.test('a pid file that cannot be written ends the start with what to do', async (t) => {
  const file = image(t);
  const ended = await run(SERVE[0]!, [
    ...SERVE.slice(1),
    file,
    '--pid-file',
    '/nowhere/pid',
    '--run',
    'true',
  ]);
  t.equal(ended.code, 1);
  t.equal(
    ended.stderr,
    'aionbd: cannot write the pid file "/nowhere/pid": ENOENT; name a file in a directory that you may write to\n',
  );
});
