import { readFileSync } from 'node:fs';

interface Process {
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/**
 * Whether there may be a shell with job control that would continue us when we are stopped. Without one (`ssh -t host aionbd top`, the first
 * program of a container) our process group is an orphan, which the kernel does not stop at Ctrl-Z either: nobody could bring it back.
 */
export function canBeContinued(): boolean {
  const own = look('self');
  if (own === undefined) return true;
  // Who has started us may be in our group: npx, a script.
  for (let next = own.parent; next > 0; ) {
    const process = look(next);
    // Other users' may be hidden from us.
    if (process === undefined) return true;
    if (process.session !== own.session) return false;
    if (process.group !== own.group) return true;
    next = process.parent;
  }
  return false;
}

/** Undefined if it can't be known. */
function look(pid: number | 'self'): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // pid (name, with any signs) state ppid pgrp session …
    const [, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 4);
    return { parent: Number(parent), group: Number(group), session: Number(session) };
  } catch {
    return undefined;
  }
}
