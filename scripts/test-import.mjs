// For --import, in each test's process and in each of its threads, `?folder=…` behind it: see test-modules.mjs.

import { register } from 'node:module';

const folder = new URL(import.meta.url).searchParams.get('folder');
register(new URL('test-loader.mjs', import.meta.url), { data: { folder } });
