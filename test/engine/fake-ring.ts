// A ring without a kernel: submissions wait here until a test completes them, in whatever order it likes.

import type { Backing } from '../../src/engine/backing.js';
import type { JobEngine } from '../../src/engine/jobs.js';
import { type IoTable, OP_EXTENTS, OP_READ, OP_WRITE, type Ring } from '../../src/engine/ring.js';
import { Volume } from '../../src/engine/volume.js';

export interface Submission {
  readonly op: number;
  readonly file: number;
  readonly buffer: number;
  readonly length: number;
  readonly offset: number;
  readonly flags: number;
  readonly tag: number;
}

/** The part of {@link Ring} that volumes and jobs use. */
export class FakeRing {
  readonly bytes: Uint8Array;
  readonly doubles: Float64Array;
  /** The one file that all registered files are. */
  readonly disk: Uint8Array;
  /** Submitted and not completed, oldest first. */
  readonly pending: Submission[] = [];
  /** Everything ever submitted. */
  readonly submitted: Submission[] = [];
  readonly cancelled: number[] = [];
  readonly removed: number[] = [];
  #files = 0;

  /** `disk`: one that other rings have, too. */
  constructor(memoryBytes: number, diskBytes: number, disk = new Uint8Array(diskBytes)) {
    this.bytes = new Uint8Array(memoryBytes);
    this.doubles = new Float64Array(this.bytes.buffer);
    this.disk = disk;
  }

  readonly native = {
    addFile: () => this.#files++,
    removeFile: (file: number) => this.removed.push(file),
  };

  file(
    op: number,
    file: number,
    buffer: number,
    length: number,
    offset: number,
    flags: number,
    tag: number,
  ): void {
    const submission = { op, file, buffer, length, offset, flags, tag };
    this.pending.push(submission);
    this.submitted.push(submission);
  }

  fileOf(op: number, file: number, table: IoTable, number: number, flags: number): void {
    this.file(op, file, table.data[number]!, table.length[number]!, table.offset[number]!, flags, number);
  }

  extents(
    file: number,
    buffer: number,
    _capacityBytes: number,
    length: number,
    offset: number,
    tag: number,
  ): void {
    this.file(OP_EXTENTS, file, buffer, length, offset, 0, tag);
  }

  kick(): void {}

  cancel(tag: number): void {
    this.cancelled.push(tag);
  }

  /** As what the code under test takes. */
  get ring(): Ring {
    return this as unknown as Ring;
  }

  /** Takes a submission out, moves its bytes unless `result` says otherwise, and tells the engine. */
  complete(jobs: JobEngine, submission: Submission | undefined, result?: number): void {
    if (!submission) throw new Error('there is no such submission');
    this.pending.splice(this.pending.indexOf(submission), 1);
    let outcome = result;
    if (outcome === undefined) {
      const { op, buffer, length, offset } = submission;
      outcome = 0;
      if (op === OP_READ) {
        this.bytes.set(this.disk.subarray(offset, offset + length), buffer);
        outcome = Math.max(0, Math.min(length, this.disk.length - offset));
      } else if (op === OP_WRITE) {
        this.disk.set(this.bytes.subarray(buffer, buffer + length), offset);
        outcome = length;
      }
    }
    jobs.complete(submission.op, submission.tag, outcome);
  }

  /** The oldest pending submission of this kind. */
  find(op: number, tag?: number): Submission | undefined {
    return this.pending.find((s) => s.op === op && (tag === undefined || s.tag === tag));
  }
}

export interface Geometry {
  readonly sizeBytes: number;
  /** 1: buffered. */
  readonly unitBytes: number;
  readonly directEndBytes?: number;
}

/** A backing of this geometry, with no file behind it. */
export function fakeBacking({ sizeBytes, unitBytes, directEndBytes }: Geometry): Backing {
  const direct = unitBytes > 1;
  const pageUnit = Math.max(unitBytes, 4096);
  const whole = sizeBytes % unitBytes === 0 ? sizeBytes : Math.floor(sizeBytes / pageUnit) * pageUnit;
  const directEnd = directEndBytes ?? (direct ? whole : 0);
  return {
    path: '/fake',
    identity: 'fake',
    readOnly: false,
    blockDevice: false,
    sizeBytes,
    directFd: direct ? 10 : -1,
    bufferedFd: !direct || directEnd < sizeBytes ? 11 : -1,
    writeBackFd: direct ? -1 : 12,
    unitBytes,
    directEndBytes: directEnd,
    bufferedBecause: undefined,
    locked: true,
    close() {},
  };
}

export function fakeVolume(ring: FakeRing, geometry: Geometry): Volume {
  return new Volume(ring.ring, fakeBacking(geometry));
}
