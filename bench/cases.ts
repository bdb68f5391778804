/** What a client does in one run. */
export interface Case {
  readonly description: string;
  readonly pattern: 'randread' | 'randwrite' | 'read' | 'write';
  readonly blockBytes: number;
  /** Requests in flight on each connection. */
  readonly depth: number;
  readonly connections: number;
  readonly transport: 'unix' | 'tcp';
  /** Ask for simple replies, as the kernel's client does, where libnbd would ask for structured ones. */
  readonly simpleReplies?: boolean;
}

const KIB = 1024;

/** A further case is a further entry; nothing else depends on which ones there are. */
export const CASES: Readonly<Record<string, Case>> = {
  'randread-qd32-unix': {
    description: '4 KiB random reads, depth 32, Unix socket',
    pattern: 'randread',
    blockBytes: 4 * KIB,
    depth: 32,
    connections: 1,
    transport: 'unix',
  },
  'randwrite-qd32-unix': {
    description: '4 KiB random writes, depth 32, Unix socket',
    pattern: 'randwrite',
    blockBytes: 4 * KIB,
    depth: 32,
    connections: 1,
    transport: 'unix',
  },
  'randread-qd1-unix': {
    description: '4 KiB random reads, depth 1, Unix socket',
    pattern: 'randread',
    blockBytes: 4 * KIB,
    depth: 1,
    connections: 1,
    transport: 'unix',
  },
  'randread-qd32-tcp': {
    description: '4 KiB random reads, depth 32, TCP on the loopback',
    pattern: 'randread',
    blockBytes: 4 * KIB,
    depth: 32,
    connections: 1,
    transport: 'tcp',
  },
  'seqread-256k-qd8-unix': {
    description: '256 KiB sequential reads, depth 8, Unix socket',
    pattern: 'read',
    blockBytes: 256 * KIB,
    depth: 8,
    connections: 1,
    transport: 'unix',
  },
  'seqwrite-256k-qd8-unix': {
    description: '256 KiB sequential writes, depth 8, Unix socket',
    pattern: 'write',
    blockBytes: 256 * KIB,
    depth: 8,
    connections: 1,
    transport: 'unix',
  },
  'conns16-qd1-unix': {
    description: '4 KiB random reads, 16 connections of depth 1, Unix socket',
    pattern: 'randread',
    blockBytes: 4 * KIB,
    depth: 1,
    connections: 16,
    transport: 'unix',
  },
};

export const DEFAULT_CASE = 'randread-qd32-unix';

/** Whether running a case changes what the file holds. */
export function writes(theCase: Case): boolean {
  return theCase.pattern === 'randwrite' || theCase.pattern === 'write';
}
