// A prebuilt addon runs on systems that are older than the one on which it was built; docs/install.md says how old.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { ADDON } from '../addon/processes.js';
import { must } from '../support/programs.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The newest of `GLIBC_2.17` and the like, as its number. */
function newest(symbols: string, family: string): string {
  const found = [...symbols.matchAll(new RegExp(`\\b${family}_([0-9.]+)`, 'g'))].map(([, v = '']) => v);
  const parts = (version: string) => version.split('.').map(Number);
  const order = (a: string, b: string): number => {
    const [x, y] = [parts(a), parts(b)];
    for (let i = 0; i < 3; i++) {
      const difference = (x[i] ?? 0) - (y[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  };
  return found.sort(order).at(-1) ?? 'none';
}

t.test('the addon needs no newer libraries than docs/install.md says', async (t) => {
  const symbols = await must('objdump', ['-T', ADDON]);
  const docs = read('docs/install.md');
  t.match(docs, `GLIBC_${newest(symbols, 'GLIBC')}`);
  t.match(docs, `GLIBCXX_${newest(symbols, 'GLIBCXX')}`);
  t.match(docs, `CXXABI_${newest(symbols, 'CXXABI')}`);
});

t.test('docs/install.md has the version of Node-API that the addon is built for', async (t) => {
  const version = /NAPI_VERSION=(\d+)/.exec(read('binding.gyp'))?.[1];
  t.match(read('docs/install.md'), `Node-API version ${version}`);
});
