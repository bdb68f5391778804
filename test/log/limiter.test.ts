import t from 'tap';
import { Limiter } from '../../src/log/limiter.js';
import { LINES, type Say } from '../../src/log/lines.js';

function limited() {
  const said: string[] = [];
  const say: Say = (name, fields) => said.push(`${LINES[name].message} ${JSON.stringify(fields)}`);
  return { said, limiter: new Limiter(say, 'ioErrorsLeftOut') };
}

const times = (count: number, what: (i: number) => boolean) =>
  Array.from({ length: count }, (_, i) => what(i)).filter(Boolean).length;

t.test('twenty lines in ten seconds are let through, the others are counted', async (t) => {
  const { said, limiter } = limited();
  t.equal(
    times(500, () => limiter.allows('a', 1000)),
    20,
  );
  t.same(said, []);
  limiter.look(10_999);
  t.same(said, [], 'ten seconds are not over');
  limiter.look(11_000);
  t.same(
    said,
    ['more I/O errors, not logged {"leftOut":480,"seconds":10}'],
    'the count needs no further line',
  );
  limiter.look(30_000);
  t.equal(said.length, 1, 'and is told once');
  t.ok(limiter.allows('a', 40_000), 'then it begins anew');
});

t.test('the count comes before the next line where nobody has looked', async (t) => {
  const { said, limiter } = limited();
  times(21, () => limiter.allows('a', 0));
  t.ok(limiter.allows('a', 60_000));
  t.same(said, ['more I/O errors, not logged {"leftOut":1,"seconds":60}']);
});

t.test('what is not a flood has no count', async (t) => {
  const { said, limiter } = limited();
  t.equal(
    times(100, (i) => limiter.allows('a', i * 1000)),
    100,
    'ten in ten seconds',
  );
  limiter.flush(200_000);
  t.same(said, []);
});

t.test('in a flood of one, what another has to say is let through once', async (t) => {
  const { said, limiter } = limited();
  times(100, () => limiter.allows('a', 0));
  t.ok(limiter.allows('b', 1));
  t.notOk(limiter.allows('b', 2));
  t.equal(
    times(1000, (i) => limiter.allows(`export ${i}`, 3)),
    179,
    'up to two hundred in all',
  );
  limiter.flush(5000);
  t.same(said, ['more I/O errors, not logged {"leftOut":902,"seconds":5}'], 'the end does not wait');
});
