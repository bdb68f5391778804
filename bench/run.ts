import { writeFile } from 'node:fs/promises';
import { withBackingFile } from './backing-file.js';
import { findProgram } from './command.js';
import { runProgram } from './failure.js';
import type { Measurement } from './metrics.js';
import { type Options, readOptions, usage } from './options.js';
import { buildReport, formatReport } from './report.js';
import { measureRound } from './round.js';
import { type ServerKind, serverKind } from './servers.js';

await runProgram(async (signal) => {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage());
    return;
  }
  await compare(options, signal);
});

async function compare(options: Options, signal: AbortSignal): Promise<void> {
  const candidate = { name: options.candidate, kind: kindOf(options.candidate), rounds: [] as Measurement[] };
  const peer = { name: options.peer, kind: kindOf(options.peer), rounds: [] as Measurement[] };
  checkPrograms([candidate.kind, peer.kind]);

  const report = await withBackingFile(options.file, signal, async (backing) => {
    for (let round = 1; round <= options.rounds; round++) {
      for (const server of [candidate, peer]) {
        const measured = await measureRound(server.name, server.kind, options.theCase, {
          file: backing.path,
          seconds: options.seconds,
          signal,
        });
        server.rounds.push(measured);
        progress(`round ${round}/${options.rounds}  ${server.name}: ${Math.round(measured.iops)} IOPS`);
      }
    }
    return buildReport(options, backing.description, candidate, peer);
  });
  process.stdout.write(formatReport(report));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

/** Says what is missing before anything has been set up. */
function checkPrograms(kinds: readonly ServerKind[]): void {
  findProgram('fio');
  for (const kind of kinds) kind.command('/dev/null', { kind: 'unix', path: '/dev/null' });
}

function kindOf(name: string): ServerKind {
  const kind = serverKind(name);
  if (kind === undefined) throw new Error(`no server ${name}`);
  return kind;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
