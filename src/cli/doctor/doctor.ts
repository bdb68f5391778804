import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { DEFAULTS } from '../../config/serve-config.js';
import { AionbdError } from '../../errors.js';
import { tryReactor } from '../../server/examine.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit-code.js';
import { type Finding, findingLines, ok, problem } from './finding.js';
import { examineMachine, type Machine } from './machine.js';
import { examinePath } from './path.js';

const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * Looks at the machine and at files to be served, and says in plain words what to change.
 *
 * @returns the exit code: 1 if something will not work
 */
export async function doctor(paths: readonly string[], print: (line: string) => void): Promise<number> {
  const queueDepth = Number(DEFAULTS.queueDepth);
  const findings = [
    ...examineMachine(thisMachine(), queueDepth),
    await examineReactor(queueDepth),
    ...paths.flatMap(examinePath),
  ];
  for (const line of findingLines(findings)) print(line);
  return findings.some(({ grade }) => grade === 'problem') ? EXIT_FAILURE : EXIT_OK;
}

async function examineReactor(queueDepth: number): Promise<Finding> {
  try {
    await tryReactor(queueDepth);
    return ok('addon', `it is loaded, and has had an AIO context of ${queueDepth} from the kernel`);
  } catch (error) {
    if (!(error instanceof AionbdError)) throw error;
    const [found = '', advice = 'see docs/errors.md'] = error.message.split(/; (.*)/s);
    return problem('addon', found, advice);
  }
}

function thisMachine(): Machine {
  return {
    read(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
    exists: existsSync,
    hasProgram: (name) =>
      [...(process.env.PATH ?? '').split(':'), ...SBIN].some((folder) => {
        try {
          accessSync(`${folder}/${name}`, constants.X_OK);
          return true;
        } catch {
          return false;
        }
      }),
    kernelRelease: release(),
    nodeVersion: process.version,
    processors: availableParallelism(),
  };
}
