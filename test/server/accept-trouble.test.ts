// What the log says while connections can't be accepted.

import t from 'tap';
import { AcceptTrouble } from '../../src/server/accept-trouble.js';
import { memoryLog } from '../transmission/in-process.js';

const EMFILE = -24;
const FIRST = 'warn a connection could not be accepted; trying again {"error":"EMFILE"}';

t.test(
  'a shortage is told of once, then every ten seconds with the count, and once when it is over',
  async (t) => {
    const { logger, lines } = memoryLog();
    const trouble = new AcceptTrouble(logger);
    for (let ms = 0; ms < 25_000; ms += 100) {
      trouble.failed(EMFILE, ms);
      if (ms % 1000 === 0) trouble.look(ms);
    }
    for (let ms = 25_000; ms < 100_000; ms += 1000) trouble.look(ms);
    t.same(lines, [
      FIRST,
      'warn connections still cannot be accepted; trying again {"error":"EMFILE","failures":100}',
      'warn connections still cannot be accepted; trying again {"error":"EMFILE","failures":100}',
      'warn connections still cannot be accepted; trying again {"error":"EMFILE","failures":49}',
      'info connections are accepted again {}',
    ]);
  },
);

t.test('an accept that fails now and then is no new shortage each time', async (t) => {
  const { logger, lines } = memoryLog();
  const trouble = new AcceptTrouble(logger);
  for (let ms = 0; ms < 30_000; ms += 1000) {
    if (ms % 5000 === 0) trouble.failed(EMFILE, ms);
    trouble.look(ms);
  }
  t.equal(lines.length, 3, lines.join('\n'));
});

t.test('after it is over the next shortage is told of at once', async (t) => {
  const { logger, lines } = memoryLog();
  const trouble = new AcceptTrouble(logger);
  trouble.failed(EMFILE, 0);
  trouble.look(10_000);
  trouble.failed(EMFILE, 10_001);
  t.same(lines, [FIRST, 'info connections are accepted again {}', FIRST]);
});

t.test('a server that has no trouble says nothing', async (t) => {
  const { logger, lines } = memoryLog();
  new AcceptTrouble(logger).look(1_000_000);
  t.same(lines, []);
});
