// The kernel's own client against the server, both inside User Mode Linux: a real kernel that runs as a process. Each
// scenario is one boot; the guest writes its verdicts into a file on the host.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { scratch } from '../support/files.js';
import { describe, run } from '../support/programs.js';
import { STAND_IN } from '../support/server.js';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const BOOT_SECONDS = 180;

const SCENARIOS = {
  filesystem: 'the kernel makes, fills, checks and finds again a file system, over TCP and a Unix socket',
  discard: 'blkdiscard and fstrim free blocks in the backing file',
  sectors: 'requests of 512 bytes are right on backings with sectors of 4 KiB (X17)',
  restart: 'what was synced before SIGTERM is there after a restart (X10, X20)',
  attach:
    'a device that aionbd-attach keeps attached outlives stops, kills and growth of the server, and its own death',
} as const;

t.setTimeout((BOOT_SECONDS + 20) * 1000 * Object.keys(SCENARIOS).length);

for (const [scenario, title] of Object.entries(SCENARIOS)) {
  t.test(title, { timeout: (BOOT_SECONDS + 20) * 1000 }, async (t) => {
    const report = join(scratch(t), 'report');
    const boot = await run(
      'timeout',
      ['-k', '5', String(BOOT_SECONDS), 'linux.uml', ...machine(scenario, report)],
      {
        timeoutMs: (BOOT_SECONDS + 15) * 1000,
        deathSignal: 'TERM',
      },
    );
    const lines = existsSync(report) ? readFileSync(report, 'utf8').trimEnd().split('\n') : [];
    const verdicts = lines.filter((line) => /^(not )?ok - /.test(line));
    for (const line of verdicts) t.ok(line.startsWith('ok'), line.replace(/^(not )?ok - /, ''));
    const complete = lines.at(-1) === 'done' && verdicts.length > 0;
    t.ok(complete, 'the guest reports to the end');
    if (!complete || verdicts.some((line) => line.startsWith('not'))) console.error(describe(boot));
  });
}

/** The guest's hardware and its command line. Unknown words of the form key=value become init's environment. */
function machine(scenario: string, report: string): string[] {
  return [
    'mem=1G',
    'rootfstype=hostfs',
    'rootflags=/',
    'rw',
    'quiet',
    'con=null',
    'con0=null,fd:1',
    `umid=aionbd-${process.pid}-${scenario}`,
    `init=${CHECKOUT}/test/kernel/guest-init.sh`,
    `checkout=${CHECKOUT}`,
    `node=${process.execPath}`,
    `report=${report}`,
    `scenario=${scenario}`,
    ...(STAND_IN ? [`stand_in=${STAND_IN}`] : []),
  ];
}
