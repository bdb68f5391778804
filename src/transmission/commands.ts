import type { HoleScan } from '../engine/hole-scan.js';
import type { JobSink } from '../engine/jobs.js';
import {
  CMD_BLOCK_STATUS,
  CMD_CACHE,
  CMD_FLUSH,
  CMD_READ,
  CMD_TRIM,
  CMD_WRITE_ZEROES,
} from '../protocol/constants.js';
import { BlockStatus } from './block-status.js';
import { type Client, NONE, STATUS_DEAD } from './client.js';
import type { Core } from './core.js';
import type { Failures } from './failures.js';
import { durableFlag, Ranges } from './ranges.js';
import { Reads } from './reads.js';
import type { Replies } from './replies.js';

/** Jobs that must be free before a request that needs no memory starts. */
const SPARE_JOBS = 4;

/** Carries out requests that are valid: hands each to those who know its command, and their jobs' ends back to them. */
export class Commands implements JobSink {
  readonly #core: Core;
  readonly #replies: Replies;
  readonly #failures: Failures;
  readonly #reads: Reads;
  readonly #ranges: Ranges;
  readonly #blockStatus: BlockStatus;
  /** Jobs that belong to no request are its. Set once by {@link Transmission}, since it needs the jobs. */
  scan!: HoleScan;

  constructor(core: Core, replies: Replies, failures: Failures) {
    this.#core = core;
    this.#replies = replies;
    this.#failures = failures;
    this.#reads = new Reads(core, replies);
    this.#ranges = new Ranges(core, replies, failures);
    this.#blockStatus = new BlockStatus(core, replies);
    replies.goOn = (client, request, job) => {
      if (core.requests.command[request] === CMD_READ) this.#reads.readOn(client, request, job);
      else this.#blockStatus.next(client, request, job);
    };
  }

  /**
   * Starts a request other than WRITE. False when there are not enough jobs or memory now: nothing has happened then,
   * and the request is the caller's to release.
   */
  start(client: Client, request: number): boolean {
    const core = this.#core;
    const { requests } = core;
    const command = requests.command[request]!;
    if (requests.length[request] === 0 && command !== CMD_FLUSH) {
      this.#replies.answer(client, request);
      return true;
    }
    if (command === CMD_READ) return this.#reads.start(client, request);
    if (command === CMD_BLOCK_STATUS) return this.#blockStatus.start(client, request);
    if (core.jobs.available < SPARE_JOBS) return false;
    switch (command) {
      case CMD_FLUSH:
        requests.jobBegan(request);
        core.jobs.sync(core.takeJob(client, request, 0, 0));
        return true;
      case CMD_TRIM:
        this.#ranges.startTrim(client, request);
        return true;
      case CMD_CACHE:
        this.#ranges.startCache(client, request);
        return true;
      case CMD_WRITE_ZEROES:
        return this.#ranges.startZero(client, request);
      default:
        throw new Error(`command ${command} was judged to be valid and is not known`);
    }
  }

  /** A piece of a WRITE's payload is complete in its job's block. */
  startWrite(request: number, job: number): void {
    const { requests, jobs } = this.#core;
    requests.jobBegan(request);
    jobs.write(job, durableFlag(requests.flags[request]!));
  }

  jobDone(job: number, errno: number): void {
    const core = this.#core;
    const { requests } = core;
    const request = core.jobs.owner[job]!;
    if (request === NONE) {
      this.scan.jobDone(job, errno);
      core.gaveBack = true;
      return;
    }
    const client = requests.client[request]!;
    requests.jobEnded(request);
    if (client.status === STATUS_DEAD) {
      if (client.tookLeave && isRange(requests.command[request]!)) {
        if (this.#ranges.pieceDone(client, request, job, errno)) return;
      }
      // A piece that lies in the list of its reply leaves it here as well: nobody will send it.
      core.releaseJob(client, job);
      this.#replies.releaseIfDone(request);
      return;
    }
    switch (requests.command[request]) {
      case CMD_READ:
        if (errno !== 0) this.#failures.jobFailed(client, request, job, errno);
        this.#reads.pieceRead(client, request, job, errno !== 0);
        return;
      case CMD_BLOCK_STATUS:
        if (errno !== 0) this.#failures.jobFailed(client, request, job, errno);
        this.#blockStatus.extentsFound(client, request, job, errno !== 0);
        return;
      case CMD_TRIM:
      case CMD_CACHE:
      case CMD_WRITE_ZEROES:
        if (this.#ranges.pieceDone(client, request, job, errno)) return;
        break;
      default:
        if (errno !== 0) this.#failures.jobFailed(client, request, job, errno);
    }
    core.releaseJob(client, job);
    // The payload of a WRITE that has failed is still read to its end before it is answered.
    if (requests.running[request]! === 0 && client.writeRequest !== request) {
      this.#replies.answer(client, request);
    }
  }
}

function isRange(command: number): boolean {
  return command === CMD_TRIM || command === CMD_CACHE || command === CMD_WRITE_ZEROES;
}
