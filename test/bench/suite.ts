import type { Measurement } from '../../bench/metrics.js';
import type { CaseResults, SuiteResults } from '../../bench/results.js';

/** The results of a run with these rounds, by case and server. */
export function suite(
  cases: Readonly<Record<string, Readonly<Record<string, readonly Measurement[]>>>>,
): SuiteResults {
  return {
    kind: 'suite',
    set: 'targets',
    rounds: 3,
    secondsPerRound: 4,
    simpleReplies: false,
    machine: {
      startedAt: '2026-01-02T03:04:05.000Z',
      processors: 2,
      model: 'A Processor',
      kernel: '6.1',
      memoryMib: 2048,
      loadAverage: 0.25,
      stealPercent: 1.5,
      paceMs: { median: 25, min: 24, max: 61 },
      versions: { node: 'v20', fio: '3.33' },
      commit: '0123456789',
    },
    cases: Object.entries(cases).map(
      ([name, servers]): CaseResults => ({
        name,
        description: `what ${name} does`,
        backing: 'a file',
        servers: Object.entries(servers).map(([server, rounds]) => ({
          name: server,
          description: server,
          rounds,
        })),
      }),
    ),
  };
}
