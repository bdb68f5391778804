/** What `npm run bench:micro` writes as JSON. */
export interface MicroResults {
  readonly kind: 'micro';
  readonly commit: string;
  readonly node: string;
  readonly tasks: readonly MicroTask[];
}

export interface MicroTask {
  readonly name: string;
  /** Median of one operation; tasks that do many at a time are divided by their number. */
  readonly nanoseconds: number;
  /** Margin of error of the mean, at 95 % confidence. */
  readonly errorPercent: number;
}
