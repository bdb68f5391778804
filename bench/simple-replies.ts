import { compileC } from './compile.js';

/** Compiles the library that keeps fio's libnbd from asking for structured replies, and returns its path. */
export function buildSimpleReplies(): string {
  return compileC('simple-replies.c', 'simple-replies.so', ['-shared', '-fPIC', '-O1']);
}
