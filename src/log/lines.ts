import { type Channel, channel } from 'node:diagnostics_channel';

/** Where a connection comes from and what it is for; in every line that is about one. */
interface Who {
  /** Number of the connection: counts up from 1 over the life of the server. */
  readonly connection: number;
  /** `127.0.0.1:45678`, `[::1]:45678` or `unix`. */
  readonly peer: string;
}

/** A request; bytes, and milliseconds. */
interface Request extends Who {
  readonly export: string;
  /** `READ`, `WRITE_ZEROES`, … */
  readonly command: string;
  readonly offset: number;
  readonly length: number;
}

interface LeftOut {
  /** Lines that were not written. */
  readonly leftOut: number;
  readonly seconds: number;
}

interface HandshakeFailed extends Who {
  /** One of the reasons that metrics tell apart. */
  readonly failure: string;
  /** In plain words. */
  readonly reason: string;
}

/** What each line says besides its message. */
export interface LineFields {
  readonly connected: Who & {
    readonly export: string;
    /** `simple`, `structured` or `extended`. */
    readonly replies: string;
    /** Meta contexts by name. */
    readonly contexts: readonly string[];
    /** Thread that serves it, from 0. */
    readonly thread: number;
  };
  readonly disconnected: Who & {
    readonly export: string;
    readonly reason: string;
    /** How long it lasted. */
    readonly seconds: number;
    readonly requests: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
    /** Requests that were answered with an error. */
    readonly errors: number;
  };
  readonly handshakeFailed: HandshakeFailed;
  readonly handshakeLeft: HandshakeFailed;
  readonly handshakeAborted: HandshakeFailed;
  readonly handshakesLeftOut: LeftOut;
  readonly ioError: Request & {
    /** Linux's name of it. */
    readonly error: string;
  };
  readonly ioErrorsLeftOut: LeftOut;
  readonly slowRequest: Request & {
    readonly durationMs: number;
    /** For how much of it I/O was at work; 0 where there was none. */
    readonly diskMs: number;
  };
  readonly hungRequest: Request & {
    readonly durationMs: number;
    readonly diskMs: number;
  };
  readonly slowRequestsLeftOut: LeftOut;
}

export type LineName = keyof LineFields;

export interface Line {
  readonly level: 'debug' | 'info' | 'warn';
  readonly message: string;
  /** Where programs that use the library hear of it: a channel of node:diagnostics_channel. */
  readonly channel: string;
}

/** The lines that connections and requests cause; docs/logs.md has them all. */
export const LINES: Readonly<Record<LineName, Line>> = Object.freeze({
  connected: { level: 'info', message: 'connected', channel: 'aionbd:connection:start' },
  disconnected: { level: 'info', message: 'disconnected', channel: 'aionbd:connection:end' },
  handshakeFailed: {
    level: 'warn',
    message: 'a handshake has failed',
    channel: 'aionbd:handshake:failed',
  },
  handshakeLeft: {
    level: 'info',
    message: 'the handshake led to nothing',
    channel: 'aionbd:handshake:failed',
  },
  handshakeAborted: {
    level: 'debug',
    message: 'a client has looked around and gone',
    channel: 'aionbd:handshake:failed',
  },
  handshakesLeftOut: {
    level: 'warn',
    message: 'more handshakes that led to nothing, not logged',
    channel: 'aionbd:log:left-out',
  },
  ioError: { level: 'warn', message: 'I/O error', channel: 'aionbd:request:error' },
  ioErrorsLeftOut: {
    level: 'warn',
    message: 'more I/O errors, not logged',
    channel: 'aionbd:log:left-out',
  },
  slowRequest: { level: 'warn', message: 'slow request', channel: 'aionbd:request:slow' },
  hungRequest: {
    level: 'warn',
    message: 'a request is still not answered',
    channel: 'aionbd:request:hung',
  },
  slowRequestsLeftOut: {
    level: 'warn',
    message: 'more slow requests, not logged',
    channel: 'aionbd:log:left-out',
  },
});

/** Says one of the lines: to the log, and to whoever has subscribed to its channel. */
export type Say = <Name extends LineName>(name: Name, fields: LineFields[Name]) => void;

interface LineLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Looked up once: a look-up by name costs more than asking whether anybody listens. */
const CHANNELS: ReadonlyMap<LineName, Channel> = new Map(
  (Object.keys(LINES) as LineName[]).map((name) => [name, channel(LINES[name].channel)]),
);

/** For the thread whose log and channels these are. */
export function sayTo(logger: LineLogger): Say {
  return (name, fields) => {
    const { level, message } = LINES[name];
    logger[level](fields, message);
    const listeners = CHANNELS.get(name)!;
    if (listeners.hasSubscribers) listeners.publish(fields);
  };
}
