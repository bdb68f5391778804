import { accessSync, constants, type StatsFs, statfsSync, statSync } from 'node:fs';
import { AionbdError } from '../../errors.js';
import { examineFile } from '../../server/examine.js';
import { type Finding, note, ok, problem } from './finding.js';

const NEARLY_FULL_SHARE = 0.1;
const BLOCK_BYTES = 512;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** What a server would make of one file or block device. */
export function examinePath(path: string): Finding[] {
  try {
    const facts = examineFile(path);
    const kind = facts.blockDevice ? 'block device' : 'file';
    const findings = [
      facts.sizeBytes > 0
        ? ok(path, `a ${kind} of ${size(facts.sizeBytes)}`)
        : note(path, `a ${kind} of no size`, 'clients can attach it, and find nothing'),
    ];
    findings.push(
      facts.directUnitBytes === undefined
        ? note(
            path,
            `I/O would go through the page cache: ${facts.bufferedBecause}`,
            'for direct I/O move it to ext4, xfs or a block device',
          )
        : direct(path, facts.directUnitBytes, facts.sizeBytes),
    );
    findings.push(writable(path));
    if (!facts.blockDevice) findings.push(...room(path, facts.sizeBytes));
    return findings;
  } catch (error) {
    if (!(error instanceof AionbdError)) throw error;
    const [found = '', advice = 'see docs/errors.md'] = error.message.split(/; (.*)/s);
    return [problem(path, found, advice)];
  }
}

function direct(path: string, unitBytes: number, sizeBytes: number): Finding {
  const found = `direct I/O works, in units of ${unitBytes} bytes`;
  const rest = sizeBytes % unitBytes;
  if (rest === 0) return ok(path, found);
  return note(
    path,
    `${found}; the last ${rest} bytes are no whole unit and go through the page cache`,
    `a size that is a multiple of ${unitBytes} has no such end`,
  );
}

function writable(path: string): Finding {
  try {
    accessSync(path, constants.W_OK);
    return ok(path, 'this user may write to it');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    return note(
      path,
      `this user may not write to it (${why})`,
      'serve it with --read-only, or change who may',
    );
  }
}

function room(path: string, sizeBytes: number): Finding[] {
  let filesystem: StatsFs;
  let allocated: number;
  try {
    filesystem = statfsSync(path);
    allocated = statSync(path).blocks * BLOCK_BYTES;
  } catch {
    return [];
  }
  const free = filesystem.bavail * filesystem.bsize;
  const whole = filesystem.blocks * filesystem.bsize;
  const missing = Math.max(0, sizeBytes - allocated);
  const found = `${size(allocated)} of it have blocks; its filesystem has ${size(free)} free of ${size(whole)}`;
  if (missing > free) {
    return [
      note(
        path,
        found,
        `clients can write ${size(missing)} more, and then get ENOSPC: free ${size(missing - free)}, or make the image smaller`,
      ),
    ];
  }
  return free < whole * NEARLY_FULL_SHARE
    ? [note(path, found, 'the filesystem is nearly full')]
    : [ok(path, found)];
}

function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`;
}
