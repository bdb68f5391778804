// A client with an export of its own that knows what it has written, and reads it again.

import { readFileSync } from 'node:fs';
import { pattern } from '../support/files.js';
import { type Address, RawClient } from '../transmission/raw-client.js';
import { READ, WRITE, WRITE_ZEROES } from '../transmission/wire.js';
import { Random } from './random.js';

const LARGEST = 20_000;

export class SteadyClient {
  readonly #client: RawClient;
  readonly #contents: Buffer;
  readonly #random = new Random(1);
  #steps = 0;

  static async open(address: Address, name: string, path: string): Promise<SteadyClient> {
    const client = await RawClient.open(address, name, { replies: 'structured' });
    return new SteadyClient(client, path);
  }

  private constructor(client: RawClient, path: string) {
    this.#client = client;
    this.#contents = readFileSync(path);
  }

  /** Writes a little and reads it again with what is around it. Returns what is wrong. */
  async step(): Promise<string | undefined> {
    try {
      return await this.#step();
    } catch (error) {
      return `a well-behaved client: ${(error as Error).message}`;
    }
  }

  async #step(): Promise<string | undefined> {
    const random = this.#random;
    const length = 1 + random.below(LARGEST);
    const offset = random.below(this.#contents.length - length);
    const zeroes = random.oneIn(3);
    const payload = zeroes ? Buffer.alloc(length) : pattern(length, this.#steps++);
    const change = zeroes ? { type: WRITE_ZEROES, offset, length } : { type: WRITE, offset, payload };
    const changed = await this.#client.call(change);
    if (changed?.error !== 0)
      return `a well-behaved client's write was answered ${changed?.error ?? 'by the end'}`;
    payload.copy(this.#contents, offset);
    const start = Math.max(0, offset - random.below(5000));
    const end = Math.min(this.#contents.length, offset + length + random.below(5000));
    const reply = await this.#client.call({ type: READ, offset: start, length: end - start });
    if (!reply?.data.equals(this.#contents.subarray(start, end)))
      return `a well-behaved client reads something else than it wrote at ${start} (${this.#client.reader.fault})`;
    return undefined;
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }
}
