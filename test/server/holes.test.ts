// What the server remembers of a file's holes, when somebody else writes to the file.

import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { MiB, pattern, scratch, sparseFile } from '../support/files.js';
import { memoryLog, start } from '../transmission/in-process.js';
import { RawClient } from '../transmission/raw-client.js';
import { READ } from '../transmission/wire.js';

const SIZE = 4 * MiB;

async function open(t: Test, path: string, readOnly: boolean) {
  const { logger, lines } = memoryLog();
  const { address } = await start(t, { exports: [{ name: '', path, readOnly }], logger });
  const client = await RawClient.open(address, '', { replies: 'structured' });
  t.teardown(() => client.destroy());
  const holes = async () => (await client.call({ type: READ, offset: 0, length: SIZE }))!.holes;
  const deadline = Date.now() + 5000;
  while ((await holes()).length === 0 && Date.now() < deadline) await sleep(5);
  return { client, holes, lines };
}

t.test('a file that is served for reading only and that somebody else writes is read anew', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), SIZE);
  const { client, holes, lines } = await open(t, path, true);
  t.same(await holes(), [{ start: 0, end: SIZE }], 'the holes were known');
  await sleep(1500);
  t.same(await holes(), [{ start: 0, end: SIZE }], 'and stay known as long as nobody writes');
  const fd = openSync(path, 'r+');
  writeSync(fd, pattern(4096, 1), 0, undefined, MiB);
  closeSync(fd);
  const deadline = Date.now() + 5000;
  while ((await holes()).length > 0 && Date.now() < deadline) await sleep(50);
  const reply = await client.call({ type: READ, offset: MiB, length: 4096 });
  t.ok(reply?.data.equals(pattern(4096, 1)));
  t.ok(
    lines.some((line) => line.startsWith('warn') && line.includes('somebody else') && line.includes(path)),
  );
});

t.test('changes of our own are not taken for those of others', async (t) => {
  const path = sparseFile(join(scratch(t), 'f'), SIZE);
  const { client, holes, lines } = await open(t, path, false);
  await client.call({ type: 1, offset: 0, payload: pattern(4096, 2) });
  await sleep(1500);
  t.same(await holes(), [{ start: 64 * 1024, end: SIZE }]);
  t.notOk(lines.some((line) => line.includes('somebody else')));
});
