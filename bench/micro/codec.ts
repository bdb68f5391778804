import { RING_CLOCK } from '../../src/engine/ring-counters.js';
import { ThreadRecord } from '../../src/metrics/record.js';
import { writeChunkHeader, writeContentOffset } from '../../src/protocol/chunk.js';
import {
  CMD_READ,
  REPLY_FLAG_DONE,
  REPLY_TYPE_OFFSET_DATA,
  REQUEST_HEADER_BYTES,
  REQUEST_MAGIC,
} from '../../src/protocol/constants.js';
import { writeSimpleReply } from '../../src/protocol/reply.js';
import {
  requestCookieHigh,
  requestCookieLow,
  requestFlags,
  requestLength,
  requestMagic,
  requestOffset,
  requestType,
} from '../../src/protocol/request.js';
import { type Client, REPLIES_STRUCTURED } from '../../src/transmission/client.js';
import { isInside, judge } from '../../src/transmission/verdict.js';
import { consume, REPEATS, type Task } from './task.js';

const READ_BYTES = 4096;
const HEAD_STRIDE = 64;

/** What happens to a request between two system calls, without memory and disk. */
export function codecTasks(): readonly Task[] {
  const requests = manyRequests();
  const heads = new DataView(new ArrayBuffer(REPEATS * HEAD_STRIDE));
  // As much of a connection as the verdict looks at.
  const client = {
    refusing: false,
    replies: REPLIES_STRUCTURED,
    contexts: 0,
    target: { sizeBytes: 2 ** 40, readOnly: false },
  } as unknown as Client;
  const record = new ThreadRecord(ThreadRecord.allocate(1, 1));
  const target = record.exports[0]!;
  const connection = record.connect(1);
  record.ring[RING_CLOCK] = 1e9;
  const facts = {
    length: new Float64Array(REPEATS).fill(READ_BYTES),
    startedAt: Float64Array.from({ length: REPEATS }, (_, i) => 1e9 - i),
    diskTime: Float64Array.from({ length: REPEATS }, (_, i) => i / 2),
  };
  return [
    repeated('parse a request header', (i) => {
      const at = i * REQUEST_HEADER_BYTES;
      consume(requestMagic(requests, at) + requestFlags(requests, at) + requestType(requests, at));
      consume(requestCookieHigh(requests, at) + requestCookieLow(requests, at));
      consume(requestOffset(requests, at) + requestLength(requests, at));
    }),
    repeated('judge a READ', (i) =>
      consume(judge(client, CMD_READ, 0, READ_BYTES, isInside(client, i * READ_BYTES, READ_BYTES))),
    ),
    repeated('write a simple reply', (i) => writeSimpleReply(heads, i * HEAD_STRIDE, 0, i, i)),
    repeated('write the head of a structured READ reply', (i) => consume(dataHead(heads, i, false))),
    repeated('write the head of an extended READ reply', (i) => consume(dataHead(heads, i, true))),
    repeated('count a request in the metrics', (i) => {
      target.began(CMD_READ, connection);
      target.answered(CMD_READ, 0, facts, i, connection, READ_BYTES, true);
    }),
  ];
}

function repeated(name: string, one: (index: number) => void): Task {
  return {
    name,
    operations: REPEATS,
    run: () => {
      for (let i = 0; i < REPEATS; i++) one(i);
    },
  };
}

function dataHead(heads: DataView, i: number, extended: boolean): number {
  const at = i * HEAD_STRIDE;
  const payload = READ_BYTES + 8;
  const next = writeChunkHeader(
    heads,
    at,
    extended,
    REPLY_FLAG_DONE,
    REPLY_TYPE_OFFSET_DATA,
    i,
    i,
    0,
    i,
    payload,
  );
  return writeContentOffset(heads, next, i * READ_BYTES);
}

function manyRequests(): DataView {
  const view = new DataView(new ArrayBuffer(REPEATS * REQUEST_HEADER_BYTES));
  for (let i = 0; i < REPEATS; i++) {
    const at = i * REQUEST_HEADER_BYTES;
    view.setUint32(at, REQUEST_MAGIC);
    view.setUint32(at + 12, i);
    view.setUint32(at + 20, i * READ_BYTES);
    view.setUint32(at + 24, READ_BYTES);
  }
  return view;
}
