// The command line of `npm run bench`, and the tables behind it.

import t from 'tap';
import { CASES, caseNamed, writes } from '../../bench/cases.js';
import { type Options, readOptions, usage } from '../../bench/options.js';
import { misfit } from '../../bench/round.js';
import { contenderNamed, SERVERS } from '../../bench/servers.js';
import { type BenchSet, SETS } from '../../bench/sets.js';

function read(...argv: readonly string[]): Options {
  const options = readOptions(argv);
  if (options === undefined) throw new Error('only help was asked for');
  return options;
}

t.test('without flags it is the quick set with its own rounds and seconds', async (t) => {
  const options = read();
  t.equal(options.set, 'quick');
  t.equal(options.rounds, SETS.quick.rounds);
  t.equal(options.seconds, SETS.quick.seconds);
  t.same(options.entries, SETS.quick.entries);
});

t.test('rounds and seconds override those of the set', async (t) => {
  const options = read('--set', 'targets', '--rounds', '2', '--seconds', '9');
  t.equal(options.rounds, 2);
  t.equal(options.seconds, 9);
  t.same(options.entries, SETS.targets.entries);
});

t.test('names may follow --case and --server one after the other or with a flag each', async (t) => {
  const wanted = [
    { case: 'randread-qd1-unix', servers: ['nbdkit', 'aionbd'] },
    { case: 'randread-qd32-tcp', servers: ['nbdkit', 'aionbd'] },
  ];
  const together = read('--case', 'randread-qd1-unix', 'randread-qd32-tcp', '--server', 'nbdkit', 'aionbd');
  t.same(together.entries, wanted);
  t.equal(together.set, undefined);
  const apart = ['--case', 'randread-qd1-unix', '--server', 'nbdkit', '--case', 'randread-qd32-tcp'];
  t.same(read(...apart, '--server=aionbd').entries, wanted);
});

t.test('a set is measured of the servers that are named, in the cases that they fit', async (t) => {
  const { entries } = read('--set', 'targets', '--server', 'aionbd', 'file');
  t.same(
    entries.map((entry) => entry.case),
    SETS.targets.entries.map((entry) => entry.case),
  );
  t.same(entries.find((entry) => entry.case === 'randread-qd32-unix')?.servers, ['aionbd', 'file']);
  t.same(entries.find((entry) => entry.case === 'randread-qd32-tcp')?.servers, ['aionbd'], 'no socket');
  t.same(entries.find((entry) => entry.case === 'start')?.servers, ['aionbd'], 'nothing to start');
});

t.test('a case chosen by hand is measured of the default servers that fit it', async (t) => {
  t.same(read('--case', 'collections').entries, [{ case: 'collections', servers: ['aionbd'] }]);
});

t.test('a commit of ours is a server', async (t) => {
  t.same(read('--case', 'start', '--server', 'aionbd@HEAD~1').entries, [
    { case: 'start', servers: ['aionbd@HEAD~1'] },
  ]);
});

t.test('what is wrong is named', async (t) => {
  const wrong: readonly (readonly [RegExp, ...string[]])[] = [
    [/--set nothing: there is no such one; take one of quick/, '--set', 'nothing'],
    [/--set toString/, '--set', 'toString'],
    [/--case nothing: there is no such one; take one of randread/, '--case', 'nothing'],
    [/--case constructor/, '--case', 'constructor'],
    [/--server nothing: there is no such one; take one of aionbd/, '--server', 'nothing'],
    [/--server aionbd@:/, '--server', 'aionbd@'],
    [/--set and --case/, '--set', 'quick', '--case', 'start'],
    [/--rounds 0: give a whole number/, '--rounds', '0'],
    [/--seconds 1.5: give a whole number/, '--seconds', '1.5'],
    [/randread-qd1-unix: a name needs --case or --server before it/, 'randread-qd1-unix'],
    [/needs --case or --server/, '--rounds', '3', 'aionbd'],
    [/none of these can be measured/, '--case', 'start', '--server', 'file'],
    [/--bogus/, '--bogus'],
  ];
  for (const [message, ...argv] of wrong) t.throws(() => readOptions(argv), { message }, argv.join(' '));
});

t.test('a file of the user is written over only if that is asked for', async (t) => {
  const writing = ['--case', 'randwrite-qd32-unix', '--file', '/dev/null'];
  t.throws(() => readOptions(writing), { message: /randwrite-qd32-unix writes over what \/dev\/null holds/ });
  t.equal(read(...writing, '--overwrite').file, '/dev/null');
  t.equal(read('--case', 'randread-qd32-unix', '--file', '/dev/null').file, '/dev/null');
  t.throws(() => readOptions(['--set', 'quick', '--file', '/dev/null']), { message: /writes over/ });
});

t.test('help lists every set, case and server', async (t) => {
  t.equal(readOptions(['--help']), undefined);
  const text = usage();
  for (const name of [...Object.keys(SETS), ...Object.keys(CASES), ...Object.keys(SERVERS)]) {
    t.match(text, new RegExp(`^ +${name} `, 'm'), name);
  }
});

t.test('every set names cases that there are, and servers that can be measured in them', async (t) => {
  for (const [name, set] of Object.entries(SETS) as [string, BenchSet][]) {
    for (const entry of set.entries) {
      t.ok(entry.servers.length > 0, `${name}: ${entry.case}`);
      t.equal(new Set(entry.servers).size, entry.servers.length, `${name}: ${entry.case} names nobody twice`);
      for (const server of entry.servers) {
        t.equal(misfit(caseNamed(entry.case), contenderNamed(server)), undefined, `${entry.case} ${server}`);
      }
    }
    const cases = set.entries.map((entry) => entry.case);
    t.equal(new Set(cases).size, cases.length, `${name} names no case twice`);
  }
});

t.test('the full set has every case and every server', async (t) => {
  t.same(
    SETS.full.entries.map((entry) => entry.case),
    Object.keys(CASES),
  );
  const servers = new Set(SETS.full.entries.flatMap((entry) => entry.servers));
  t.same([...servers].sort(), Object.keys(SERVERS).sort());
});

t.test('cases that change the file are known as such', async (t) => {
  const reading = Object.keys(CASES).filter((name) => !writes(caseNamed(name)));
  t.notOk(
    reading.some((name) => /write|randrw|copy-in|page-cache/.test(name)),
    reading.join(' '),
  );
  t.ok(
    reading.every((name) => /read|conns|copy-out|start|collections/.test(name)),
    reading.join(' '),
  );
});
