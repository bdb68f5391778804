import { findAddon, ownSurroundings } from './find-addon.js';

/** Sizes of a reactor; all of its memory is taken when it is made. */
export interface NativeReactorOptions {
  /** Everything that goes to a disk or a socket lies in this many bytes. */
  readonly memoryBytes: number;
  /** Direct I/Os that may be in the kernel at once; counts against fs.aio-max-nr. */
  readonly queueDepth: number;
  readonly submissionCapacity: number;
  readonly completionCapacity: number;
  /** Most threads for what blocks; they start when they are needed. */
  readonly workerThreads: number;
  /** Read completions from the kernel's mapped ring; false takes `io_getevents`. */
  readonly reapInUserSpace: boolean;
  /** Look for events for a while before sleeping: up to that long, µs, 0 for never; with `auto` only where it has been worth it. */
  readonly busyPollMicroseconds: number;
  readonly busyPollAuto: boolean;
  /** Where to count, see ring-counters.ts; without it nobody learns. Must not be used for anything else until the reactor is closed. */
  readonly counters?: Float64Array;
}

/**
 * The addon's side of the boundary, exactly as addon/binding.cc has it. Numbers below 0 are negative errnos. After close
 * every method throws.
 */
export interface NativeReactor {
  readonly memory: ArrayBuffer;
  readonly submissions: ArrayBuffer;
  readonly completions: ArrayBuffer;
  /** Hands over submissions, fills the completion array with what is complete and returns how many. */
  submit(count: number): number;
  /** Hands over submissions and leaves the completion array alone. */
  push(count: number): void;
  /** Makes onTurn come soon if completions wait to be delivered. */
  wake(): void;
  /** Ends everything; waits for I/O in flight; calls back from the event loop. */
  close(closed?: () => void): void;
  addFile(fd: number, direct: boolean, blockDevice: boolean): number;
  /** EBUSY while I/O on it is in flight. */
  removeFile(file: number): number;
  listenTcp(host: string, port: number, backlog: number): number;
  listenUnix(path: string, backlog: number): number;
  /** Takes over a descriptor that another process has made to listen; a negative errno if it is none, which stays open. */
  inheritListener(fd: number): number;
  /** `host:port`, `[v6]:port`, a path, `@name` of an abstract socket, or empty. */
  listenerName(listener: number): string;
  listenerPort(listener: number): number;
  removeListener(listener: number): number;
  peerName(connection: number): string;
  /** Gives a connection's descriptor away, for another reactor of this process. EBUSY while something is queued on it. */
  detach(connection: number): number;
  /** Takes over a connected socket's descriptor, which is closed if that fails; the connection's number. */
  adopt(fd: number): number;
  /**
   * Bytes that are unread on a connection whose other side has closed, the last of them copied to the end of `tail`
   * and its rest zeroed; -EAGAIN while more may come. Takes no byte.
   */
  peekEnd(connection: number, tail: Uint8Array): number;
  /** Gives the whole pages of a range of memory back to the system; when they are used again they are zeroes. */
  release(offset: number, bytes: number): number;
  /**
   * Whether the kernel may make huge pages of these whole ones by itself, which fills up what has been released of them.
   * They are allowed at first. Of memory that is smaller than a huge page there are none.
   */
  allowHugePages(offset: number, bytes: number, allowed: boolean): number;
}

/** What probeFile found out about an open descriptor. */
export interface FileFacts {
  readonly regular: boolean;
  readonly blockDevice: boolean;
  readonly sizeBytes: number;
  /** For direct I/O, bytes; 0 when direct I/O does not work on this descriptor. */
  readonly memoryAlignment: number;
  readonly offsetAlignment: number;
}

export interface Addon {
  /** Throws a RangeError for a size that is no whole number above 0, or an Error with `errno` and `syscall`. */
  readonly Reactor: new (
    options: NativeReactorOptions,
    onTurn: (count: number) => void,
  ) => NativeReactor;
  /** Throws an Error with `errno` and `syscall`. */
  probeFile(fd: number): FileFacts;
  /** flock(2) without waiting: 0 or a negative errno. */
  lockFile(fd: number, exclusive: boolean): number;
  /** A listening socket that no reactor has: a descriptor, which is the caller's, or a negative errno. `host` is numeric. */
  openTcpListener(host: string, port: number, backlog: number): number;
  openUnixListener(path: string, backlog: number): number;
  /** Port that a TCP socket is bound to, 0 for any other descriptor. */
  localPort(fd: number): number;
  /** The same stream socket once more, above the numbers of stdin, stdout and stderr; or a negative errno. */
  duplicateStream(fd: number): number;
  /** Two connected Unix stream sockets. Throws an Error with `errno` and `syscall`. */
  streamPair(): [number, number];
  /** Sends one datagram to the Unix socket at `path` (`@` for an abstract name): 0 or a negative errno. */
  sendDatagram(path: string, message: string): number;
  /** Ends the process without any cleanup: nothing is waited for, neither threads nor I/O in flight. */
  exitNow(code: number): never;
  readonly submissionBytes: number;
  readonly completionBytes: number;
}

let loaded: Addon | undefined;

/**
 * The native addon: the file that AIONBD_ADDON names, or else the prebuilt package for this machine, or else the local
 * build. Throws AIONBD_E_ADDON with what was tried and what to do about it.
 */
export function loadAddon(): Addon {
  loaded ??= findAddon(ownSurroundings(process.env.AIONBD_ADDON)).exports as Addon;
  return loaded;
}
