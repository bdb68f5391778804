import { METRICS } from './metrics.js';
import type { SuiteResults } from './results.js';
import { markdownTable } from './tables.js';
import { BOUNDED_METRICS, judgeTargets, TARGETS, type Target, type Verdict } from './targets.js';

/** What a floor says of a target that is not reached. */
export type Reach =
  | 'no server could'
  | 'not with direct I/O'
  | 'within reach'
  /** Ours does better than a floor that misses the target too, and so the floor says nothing of it. */
  | 'better than the floor'
  | 'not measured';

/** A target that is not reached, and what the floors reach of it. */
export interface Limit {
  readonly verdict: Verdict;
  /** As if the best floor were ours; undefined if this target has none of that kind. */
  readonly withIo: Verdict | undefined;
  readonly withoutIo: Verdict | undefined;
  readonly reach: Reach;
}

/**
 * Of each target that is missed and that floors bound, whether it could be reached: a floor is judged as ours is, against
 * the same others in the same run.
 */
export function findLimits(results: SuiteResults, targets: readonly Target[] = TARGETS): readonly Limit[] {
  return judgeTargets(results, targets).flatMap((verdict) => {
    const { target, reached } = verdict;
    const isBounded = target.against !== undefined && BOUNDED_METRICS.includes(target.metric);
    if (reached !== false || !isBounded) return [];
    const withIo = bestFloor(results, target, target.floors?.withIo);
    const withoutIo = bestFloor(results, target, target.floors?.withoutIo);
    return [{ verdict, withIo, withoutIo, reach: reachOf(verdict, withIo, withoutIo) }];
  });
}

/** {@link findLimits} as a Markdown table, or a sentence if there is none. */
export function formatLimits(results: SuiteResults, targets: readonly Target[] = TARGETS): string {
  const rows = findLimits(results, targets).map(({ verdict, withIo, withoutIo, reach }) => {
    const { target, measured } = verdict;
    return [
      `${target.what}: ${METRICS[target.metric].label}, ${target.server}`,
      target.against?.label ?? '',
      `${target.bound === 'at least' ? '≥' : '≤'} ${target.value}×`,
      times(measured),
      times(withIo?.measured),
      times(withoutIo?.measured),
      reach,
    ];
  });
  if (rows.length === 0) return 'No target is missed that a floor bounds.';
  return markdownTable(
    [
      '',
      'against',
      'wanted',
      'measured',
      'the same I/O in a loop of C',
      'no I/O at all',
      'can it be reached?',
    ],
    rows,
    2,
  );
}

/** The best of these in place of ours; one that was not measured if there is such, since the best of some bounds nothing. */
function bestFloor(
  results: SuiteResults,
  target: Target,
  names: readonly string[] | undefined,
): Verdict | undefined {
  if (names === undefined) return undefined;
  const verdicts = judgeTargets(
    results,
    names.map((server) => ({ ...target, server })),
  );
  const higher = METRICS[target.metric].better === 'higher';
  const ratio = ({ measured }: Verdict): number => measured ?? Number.NaN;
  return (
    verdicts.find(({ measured }) => measured === undefined) ??
    verdicts.toSorted((a, b) => (higher ? ratio(b) - ratio(a) : ratio(a) - ratio(b)))[0]
  );
}

function reachOf(ours: Verdict, withIo: Verdict | undefined, withoutIo: Verdict | undefined): Reach {
  if ((withIo ?? withoutIo)?.reached === true) return 'within reach';
  if (withoutIo?.reached === false && bounds(withoutIo, ours)) return 'no server could';
  const floors = [withoutIo, withIo].filter((floor) => floor !== undefined);
  if (floors.length === 0 || floors.some(({ reached }) => reached === undefined)) return 'not measured';
  if (withIo?.reached === false && bounds(withIo, ours)) return 'not with direct I/O';
  return 'better than the floor';
}

/** What ours does better than a floor, that floor says nothing of. */
function bounds(floor: Verdict, { target, measured }: Verdict): boolean {
  if (measured === undefined || floor.measured === undefined) return false;
  return target.bound === 'at least' ? floor.measured >= measured : floor.measured <= measured;
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '–' : `${ratio.toFixed(2)}×`;
}
