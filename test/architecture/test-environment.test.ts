// Tests judge the words and colours of programs, so the environment of whoever starts them must not matter.

import t from 'tap';
// @ts-expect-error: no TypeScript, since it runs before anything is compiled
import { testEnvironment as untyped } from '../../scripts/test-environment.mjs';

const testEnvironment = untyped as (environment: NodeJS.ProcessEnv) => Record<string, string>;

const MEDDLES = {
  CI: '1',
  GITHUB_ACTIONS: 'true',
  NO_COLOR: '1',
  FORCE_COLOR: '3',
  COLORTERM: 'truecolor',
  COLUMNS: '40',
  NODE_OPTIONS: '--no-warnings',
  LC_ALL: 'tr_TR.UTF-8',
  TZ: 'Asia/Kathmandu',
  GIT_DIR: '/nowhere',
  XDG_CONFIG_HOME: '/nowhere',
  NOTIFY_SOCKET: '/nowhere',
  LISTEN_FDS: '1',
  AIONBD_URI: 'nbd://nowhere',
};
const MATTERS = {
  HOME: '/root',
  AIONBD_TEST_SEED: '7',
  AIONBD_STAND_IN: 'nbdkit',
  AIONBD_ADDON: 'other.node',
  https_proxy: 'http://proxy:1',
  npm_config_cafile: '/etc/ca.pem',
};

t.test('tests do not get what changes the output of programs, or is said to another process', async (t) => {
  t.same(testEnvironment({ ...MEDDLES, TERM: 'xterm', LANG: 'C' }), { LANG: 'C.UTF-8', TERM: 'dumb' });
});

t.test('tests get what their caller tells them, and what leads to the network', async (t) => {
  t.match(testEnvironment(MATTERS), MATTERS);
});

t.test('this test has been started so', async (t) => {
  t.equal(process.env.LANG, 'C.UTF-8');
  t.equal(process.env.TERM, 'dumb');
  for (const name of ['CI', 'COLUMNS', 'LC_ALL', 'TZ', 'GIT_DIR']) {
    t.equal(process.env[name], undefined, name);
  }
});
