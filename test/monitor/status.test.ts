import t from 'tap';
import { isHealthy, statusText } from '../../src/monitor/status-text.js';
import { busy, snapshot, target } from './made-up.js';

t.test('a status has everything, in columns, with nothing cut off', async (t) => {
  const text = statusText(busy(10)).join('\n');
  t.match(text, 'aionbd 0.1.0, pid 4711, serving for 10s');
  t.match(text, 'listening  localhost:10809, unix:/run/aionbd.sock');
  t.match(text, /name .*health .*mode .*size .*p99 .*path/);
  t.match(text, /vm1\.img +ok +direct +10G +40% +200G +2 +1\.4M/);
  t.match(text, 'a-very-long-name-of-an-export-that-somebody-has-made-up-for-a-reason');
  t.match(text, /1 +127\.0\.0\.1:40001 +vm1\.img/);
  t.match(text, /3 {2}unknown_export/);
  t.match(text, 'goes through the page cache: the filesystem has no direct I/O (buffered-fallback)');
  t.notMatch(text.replaceAll('\n', ''), /\p{C}/u, 'no control character');
});

t.test('a status says which export is unhealthy, and why', async (t) => {
  t.match(statusText(busy(1)).join('\n'), /UNHEALTHY: .*trouble.*: no answer within 5 s/);
  t.notOk(isHealthy(busy(1)));
  t.match(statusText(snapshot({ exports: [target('a')] })).join('\n'), /^health +healthy$/m);
  t.ok(isHealthy(snapshot({ exports: [target('a')] })));
  t.ok(isHealthy(snapshot({ exports: [target('a')], state: 'draining' })), 'draining is not an illness');
});

t.test('a status of a server with nothing to tell is short', async (t) => {
  t.strictSame(statusText(snapshot({ reactors: [] })), [
    'aionbd 0.1.0, pid 4711, serving for 3h 12m',
    'health     healthy',
    'listening  localhost:10809, unix:/run/aionbd.sock',
  ]);
});
