// The example of docs/hooks.md, run as it stands.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { run } from '../support/programs.js';
import { slowWrites } from '../support/slow-writes.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The indented lines of the document. */
function example(): string {
  const document = readFileSync(join(ROOT, 'docs/hooks.md'), 'utf8');
  return document
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.slice(4))
    .join('\n');
}

t.test('the example of docs/hooks.md tells of clients that leave and of slow requests', async (t) => {
  const folder = scratch(t);
  const disk = sparseFile(join(folder, 'disk.img'), MiB);
  const index = join(ROOT, 'dist/index.js');
  const source = example();
  t.match(source, /from 'aionbd'.*\/srv\/disk\.img.*port: 10809/s, 'what is put in place below is there');
  const program = source
    .replace("from 'aionbd'", `from ${JSON.stringify(index)}`)
    .replace("path: '/srv/disk.img'", `path: ${JSON.stringify(disk)}, direct: 'off'`)
    .replace('await server.listen({', 'const { port } = await server.listen({')
    .replace('port: 10809', 'port: 0');
  const client = `
    import { execFile } from 'node:child_process';
    import { promisify } from 'node:util';
    const uri = 'nbd://127.0.0.1:' + port + '/disk';
    await promisify(execFile)('qemu-io', ['-f', 'raw', '-c', 'write 8k 4k', uri]);
    await server.close();
    process.exit(0);`;
  const path = join(folder, 'example.mjs');
  writeFileSync(path, program + client);
  const env = await slowWrites(t, 'offset == 8192 ? 1200000 : 0');
  const { code, stdout, stderr } = await run(process.execPath, [path], { env });
  t.equal(code, 0, stderr);
  t.match(stdout, /^WRITE on disk took \d{4,}(\.\d)? ms$/m);
  t.match(stdout, /^127\.0\.0\.1:\d+ has left disk after \d+ requests in [\d.]+ s$/m);
});
