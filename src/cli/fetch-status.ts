import { Agent, type IncomingMessage, request } from 'node:http';
import { quote } from '../config/quote.js';
import type { StatusAddress } from '../config/status-address.js';
import { AionbdError } from '../errors.js';
import type { ServerSnapshot } from '../metrics/snapshot.js';

const SCHEMA = 1;
/** A thousand exports with all their histograms are a few MiB. */
const LARGEST_ANSWER_BYTES = 256 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 5000;

/** Asks a running server how it is; one connection serves all questions as long as it lives. */
export class StatusClient {
  readonly #address: StatusAddress;
  readonly #timeoutMs: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(address: StatusAddress, timeoutMs: number = DEFAULT_TIMEOUT_MS) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The state of the server, and its JSON as it came.
   *
   * @throws AionbdError AIONBD_E_STATUS whatever the reason is
   */
  async fetch(): Promise<{ readonly snapshot: ServerSnapshot; readonly json: string }> {
    const answer = await this.#get();
    if (answer.status !== 200) {
      throw this.#error(`what answers there is no aionbd, or an old one (HTTP ${answer.status})`);
    }
    return { snapshot: this.#parse(answer.body), json: answer.body };
  }

  close(): void {
    this.#agent.destroy();
  }

  #parse(body: string): ServerSnapshot {
    let parsed: unknown;
    try {
      parsed = JSON.parse(body);
    } catch {
      throw this.#error('what answers there is no aionbd: its answer is no JSON');
    }
    const { schema } = Object(parsed) as { schema?: unknown };
    if (typeof schema === 'number' && schema !== SCHEMA) {
      throw this.#error(
        `the server is of another version (schema ${schema}); use the command that belongs to it`,
      );
    }
    if (!isSnapshot(parsed)) {
      throw this.#error('what answers there is no aionbd: its answer is no state of a server');
    }
    return parsed;
  }

  #get(): Promise<{ readonly status: number; readonly body: string }> {
    const { place, base } = this.#address;
    const where = place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port };
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(this.#timeoutMs);
      const failed = (error: NodeJS.ErrnoException) => {
        const late = signal.aborted ? `no answer within ${this.#timeoutMs / 1000} s` : undefined;
        reject(this.#error(late ?? error.code ?? error.message, error));
      };
      request({ ...where, path: `${base}api/status`, agent: this.#agent, signal }, (response) => {
        bodyOf(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), failed);
      })
        .on('error', failed)
        .end();
    });
  }

  #error(reason: string, cause?: Error): AionbdError {
    const remedy = REMEDIES[reason];
    return new AionbdError(
      'AIONBD_E_STATUS',
      `cannot get the status of the server at ${quote(this.#address.text)}: ${remedy ?? reason}`,
      { cause },
    );
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; is it running, and is this what its --metrics says?',
  ENOENT: 'there is no such socket; is it running, and is this what its --metrics says?',
  EACCES: 'permission denied; connecting needs the right to write to the socket',
  ENOTFOUND: 'there is no such host; check the name',
  ECONNRESET: 'the connection was cut',
};

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LARGEST_ANSWER_BYTES) throw new Error('the answer has no end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Looks at no more than keeps a mistaken address from being a riddle. */
function isSnapshot(value: unknown): value is ServerSnapshot {
  const { schema, exports, connections, reactors, warnings, listeners } = Object(value) as Record<
    string,
    unknown
  >;
  return schema === SCHEMA && [exports, connections, reactors, warnings, listeners].every(Array.isArray);
}
