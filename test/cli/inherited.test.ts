import t from 'tap';
import { inheritedSockets } from '../../src/cli/inherited.js';
import { type Notify, serviceManager } from '../../src/cli/service-manager.js';
import type { Logger } from '../../src/server/api.js';

t.test('sockets that are passed on are those from descriptor 3, and no child is told of them', async (t) => {
  const environment = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b', HOME: '/' };
  t.strictSame(inheritedSockets(environment, 42), [
    { kind: 'inherited', fd: 3 },
    { kind: 'inherited', fd: 4 },
  ]);
  t.strictSame(environment, { HOME: '/' });
});

t.test('sockets of another process, or none, are no sockets of ours', async (t) => {
  t.strictSame(inheritedSockets({}, 42), []);
  t.strictSame(inheritedSockets({ LISTEN_PID: '41', LISTEN_FDS: '1' }, 42), []);
  t.strictSame(inheritedSockets({ LISTEN_FDS: '1' }, 42), [], 'LISTEN_PID is missing');
});

for (const count of ['0', '-1', 'two', '1.5', '1025', '']) {
  t.test(`LISTEN_FDS of ${JSON.stringify(count)} is refused with what to do`, async (t) => {
    t.throws(() => inheritedSockets({ LISTEN_PID: '42', LISTEN_FDS: count }, 42), {
      code: 'AIONBD_E_USAGE',
      message: `LISTEN_FDS is ${JSON.stringify(count)}: it has to be the number of sockets that are passed on, from 1 to 1024; unset it to listen as --listen says`,
    });
  });
}

/** What a manager at /run/notify is told, with a logger that remembers its warnings. */
function told(given: NodeJS.ProcessEnv, result = 0) {
  const states: string[] = [];
  const warnings: object[] = [];
  const notify: Notify = (path, state) => {
    states.push(`${path}: ${state}`);
    return result;
  };
  const logger: Logger = { debug() {}, info() {}, warn: (fields) => warnings.push(fields), error() {} };
  return { states, warnings, manager: serviceManager(given, 42, notify, logger) };
}

t.test('a service manager hears when the server is ready and when it stops', async (t) => {
  const environment = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '0', HOME: '/' };
  const { states, manager } = told(environment);
  manager.ready('serving 1 exports\nat nbd://x/');
  manager.stopping();
  t.strictSame(states, [
    '/run/notify: READY=1\nMAINPID=42\nSTATUS=serving 1 exports at nbd://x/',
    '/run/notify: STOPPING=1\nSTATUS=stopping',
  ]);
  t.strictSame(environment, { HOME: '/' }, 'children are not told where to talk to it');
});

t.test('without NOTIFY_SOCKET nobody is told of anything', async (t) => {
  const { states, manager } = told({ WATCHDOG_USEC: '1000' });
  manager.ready('');
  manager.stopping();
  t.strictSame(states, []);
});

t.test('a watchdog hears from the event loop until the server stops', async (t) => {
  const { states, manager } = told({ NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '4000', WATCHDOG_PID: '42' });
  manager.ready('');
  const heard = () => states.filter((state) => state === '@n: WATCHDOG=1').length;
  while (heard() < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  manager.stopping();
  const atTheEnd = heard();
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(heard(), atTheEnd);
});

t.test('a watchdog of another process does not hear from us', async (t) => {
  const { states, manager } = told({ NOTIFY_SOCKET: '@n', WATCHDOG_USEC: '2000', WATCHDOG_PID: '41' });
  manager.ready('');
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(states.length, 1);
  manager.stopping();
});

t.test('that the service manager cannot be told is in the log once', async (t) => {
  const { warnings, manager } = told({ NOTIFY_SOCKET: '/gone' }, -2);
  manager.ready('');
  manager.stopping();
  t.strictSame(warnings, [{ socket: '/gone', errno: 2 }]);
});
