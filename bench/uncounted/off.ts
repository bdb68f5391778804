// Takes the counting of requests out of a server, for a comparison with one that has it. What is left is what the addon
// counts, and its look at the clock once a batch.

import { ConnectionRecord, ExportRecord } from '../../src/metrics/record.js';
import { RequestTimes } from '../../src/metrics/request-times.js';

const nothing = (): void => {};

for (const method of ['began', 'answered', 'gaveUp', 'mended'] as const) {
  ExportRecord.prototype[method] = nothing;
}
for (const method of ['received', 'sent'] as const) ConnectionRecord.prototype[method] = nothing;
for (const method of ['parsed', 'workBegan', 'workEnded', 'endWhole'] as const)
  RequestTimes.prototype[method] = nothing;
