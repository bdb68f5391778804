import { clientsLimit, type ProfileResults } from './profile-results.js';
import type { SuiteResults } from './results.js';
import { formatNumber, markdownTable } from './tables.js';
import { judgeTargets } from './targets.js';

/**
 * What may be left to be gained of the targets for IOPS that are not reached: by how much the client would be faster if the server cost
 * nothing, as a profile of the same load says, and what a target's ratio would be then. An estimate: with the server gone from the other half of
 * a core, or with replies in other portions, the client has another price.
 */
export function formatLimits(results: SuiteResults, { machine, profiles }: ProfileResults): string {
  const rows = judgeTargets(results).flatMap(({ target, measured, reached }) => {
    const profile = profiles.find((one) => one.case === target.case && one.server === target.server);
    const isMissed = reached === false && target.metric === 'iops' && target.against !== undefined;
    if (!isMissed || profile === undefined || measured === undefined) return [];
    const gain = clientsLimit(profile, machine.processors) / profile.iops;
    const atMost = measured * gain;
    return [
      [
        `${target.what}, ${target.server}`,
        target.against?.label ?? '',
        `${target.value}×`,
        `${measured.toFixed(2)}×`,
        `${formatNumber(gain, 2)}×`,
        `${atMost.toFixed(2)}×`,
        atMost < target.value ? 'yes' : 'no',
      ],
    ];
  });
  return markdownTable(
    [
      '',
      'against',
      'wanted',
      'measured',
      'left to the client',
      'about, at most',
      'is the client in the way?',
    ],
    rows,
    2,
  );
}
