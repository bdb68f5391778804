/**
 * Node's flags for a thread whose program is a file of ours. A program given by --eval may have --input-type, which Node
 * refuses together with a file. Flags that are named are checked, and V8's own refused, so otherwise they are inherited.
 */
export function workerFlags(): { execArgv?: string[] } {
  const isInTheWay = (flag: string) => flag.startsWith('--input-type');
  if (!process.execArgv.some(isInTheWay)) return {};
  return { execArgv: process.execArgv.filter((flag) => !isInTheWay(flag)) };
}
