// The compiler's limits are flags of V8, which may change from one version of Node.js to the next without a word.

import { spawnSync } from 'node:child_process';
import t from 'tap';
import { INLINING_FLAGS } from '../../src/cli/compiler.js';

t.test('this Node.js knows every flag that a server sets, and takes it while it runs', async (t) => {
  const listed = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' }).stdout;
  for (const flag of INLINING_FLAGS) {
    const [name] = flag.split('=');
    t.match(listed, new RegExp(`^  ${name} `, 'm'), name);
    const set = `require('node:v8').setFlagsFromString('${flag}')`;
    const { status, stderr } = spawnSync(process.execPath, ['--eval', set], { encoding: 'utf8' });
    t.same({ status, stderr }, { status: 0, stderr: '' }, flag);
  }
});
