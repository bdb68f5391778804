/** Something the person who runs the benchmark can put right; the message is one line, fit to print as it is. */
export class BenchFailure extends Error {
  override readonly name = 'BenchFailure';
}

/** The run was ended from outside (Ctrl-C, SIGTERM). */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * Runs a program's main function: clean-up in its `finally` blocks happens on Ctrl-C too, because a signal only aborts
 * `signal`, and failures print as one line. Exit codes: 0, 1 for a failure, 130 when interrupted.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort(new Interrupted('interrupted'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  try {
    await main(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) {
      process.stderr.write('bench: interrupted\n');
      process.exitCode = 130;
    } else if (error instanceof BenchFailure) {
      process.stderr.write(`bench: ${error.message}\n`);
      process.exitCode = 1;
    } else {
      throw error;
    }
  }
}
