import { DIRECT_MODES } from '../config/export-spec.js';
import { DEFAULTS, LOG_FORMATS, LOG_LEVELS, ON_STOP } from '../config/serve-config.js';

/** How words become flags: each flag has one spelling, takes one word, and stays the text it is. */
export const PARSER_CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'greedy-arrays': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
} as const;

/** Flags that take no value. */
export const SWITCHES: readonly string[] = [
  'read-only',
  'no-lock',
  'stdio',
  'exit-with-last-client',
  'preallocate',
  'json',
  'help',
  'version',
];

export const SERVE_OPTIONS = {
  listen: {
    alias: 'l',
    type: 'string',
    array: true,
    requiresArg: true,
    description: `host:port, [v6]:port or unix:PATH; repeatable (default: ${DEFAULTS.listen}, which is 127.0.0.1 and ::1)`,
  },
  export: {
    alias: 'e',
    type: 'string',
    array: true,
    requiresArg: true,
    description:
      'name=N,path=P[,readonly][,direct=auto|on|off][,description=T]; repeatable; a comma in a value is doubled',
  },
  'read-only': { type: 'boolean', description: 'refuse writes to all exports' },
  direct: {
    type: 'string',
    requiresArg: true,
    choices: DIRECT_MODES,
    description: `direct I/O; auto: where the file can do it (default: ${DEFAULTS.direct})`,
  },
  'no-lock': { type: 'boolean', description: 'take no lock on the files' },
  'buffer-memory': {
    type: 'string',
    requiresArg: true,
    description: `memory for data in flight (default: ${DEFAULTS.bufferMemory})`,
  },
  'queue-depth': {
    type: 'string',
    requiresArg: true,
    description: `requests in flight over all connections (default: ${DEFAULTS.queueDepth})`,
  },
  threads: {
    type: 'string',
    requiresArg: true,
    description: `threads that serve connections (default: ${DEFAULTS.threads})`,
  },
  'busy-poll': {
    type: 'string',
    requiresArg: true,
    description: `microseconds to look for the next request before sleeping, auto or off (default: ${DEFAULTS.busyPoll})`,
  },
  metrics: {
    type: 'string',
    requiresArg: true,
    description: `address of the metrics, or off (default: ${DEFAULTS.metrics}; off for --stdio, --run and inherited sockets)`,
  },
  'health-deadline': {
    type: 'string',
    requiresArg: true,
    description: `milliseconds after which /healthz takes a disk or an event loop for stuck (default: ${DEFAULTS.healthDeadline})`,
  },
  'metrics-exports': {
    type: 'string',
    requiresArg: true,
    description: `exports with metrics of their own; the others are summed (default: ${DEFAULTS.metricsExports})`,
  },
  'slow-request': {
    type: 'string',
    requiresArg: true,
    description: `milliseconds from which on a request is logged as slow, or off (default: ${DEFAULTS.slowRequest})`,
  },
  'on-stop': {
    type: 'string',
    requiresArg: true,
    choices: ON_STOP,
    description: `requests that come during a stop: refuse with ESHUTDOWN, or disconnect, for clients that connect again (default: ${DEFAULTS.onStop})`,
  },
  stdio: {
    type: 'boolean',
    description: 'serve one client on stdin and stdout, listen nowhere, and end with it',
  },
  run: {
    type: 'string',
    requiresArg: true,
    description:
      'serve while this shell command runs, which finds the server in $uri, and end with its exit code',
  },
  'exit-with-last-client': {
    type: 'boolean',
    description: 'end when the last client has left',
  },
  'pid-file': {
    type: 'string',
    requiresArg: true,
    description: 'write the process id there once clients can connect',
  },
  'log-level': {
    type: 'string',
    requiresArg: true,
    choices: LOG_LEVELS,
    description: `what to log (default: ${DEFAULTS.logLevel}; warn for --stdio, --run and inherited sockets)`,
  },
  'log-format': {
    type: 'string',
    requiresArg: true,
    choices: LOG_FORMATS,
    description: 'how to log (default: pretty on a terminal, json elsewhere)',
  },
} as const;

export const CREATE_OPTIONS = {
  size: {
    type: 'string',
    requiresArg: true,
    demandOption: true,
    description: 'bytes, or a number with K, M, G, T or P (units of 1024), such as 1.5G',
  },
  preallocate: {
    type: 'boolean',
    description: 'take all blocks now, so that the filesystem cannot fill up later',
  },
} as const;

export const STATUS_OPTIONS = {
  json: { type: 'boolean', description: 'print the state as JSON, for programs' },
} as const;
