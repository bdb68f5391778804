// The bytes of a step.

import { infoData, join, metaData, optionHeader, u16, u32 } from '../negotiation/bytes.js';
import { type Mode, type Request, requestBytes, statusPayload } from '../transmission/wire.js';
import { blobBytes } from './blob.js';
import type { OptionData, RequestStep, Step } from './case.js';

/** Empty for a step that sends nothing. `number` is the cookie of a request that has none of its own. */
export function stepBytes(step: Step, mode: Mode, number: number): Buffer {
  switch (step.kind) {
    case 'flags':
      return u32(step.value);
    case 'option': {
      const data = dataBytes(step.data);
      return join(optionHeader(step.option, step.length ?? data.length), data);
    }
    case 'request':
      return requestBytes(requestOf(step, mode, number), mode);
    case 'bytes':
      return blobBytes(step.bytes);
    default:
      return Buffer.alloc(0);
  }
}

function requestOf(step: RequestStep, mode: Mode, number: number): Request {
  const { type, flags, cookie = BigInt(number), offset, payload, status, bare, magic } = step;
  // A length of 64 bits has no room in a compact header.
  const length =
    mode === 'extended' || step.length === undefined ? step.length : BigInt.asUintN(32, step.length);
  const bytes = status ? statusPayload(status.range, status.ids) : payload && blobBytes(payload);
  return {
    type: type & 0xffff,
    flags: flags & 0xffff,
    cookie,
    offset,
    ...(length === undefined ? {} : { length }),
    ...(bytes === undefined ? {} : { payload: bytes }),
    ...(bare ? { announcesPayload: false } : {}),
    ...(magic === undefined ? {} : { magic: magic >>> 0 }),
  };
}

function dataBytes(data: OptionData): Buffer {
  if (data.kind === 'raw') return blobBytes(data.bytes);
  const name = blobBytes(data.name);
  const bytes =
    data.kind === 'info'
      ? infoData(name, ...data.info)
      : metaData(name, ...data.queries.map((query) => blobBytes(query)));
  if (data.nameLength !== undefined) u32(data.nameLength).copy(bytes, 0);
  if (data.count !== undefined)
    (data.kind === 'info' ? u16(data.count) : u32(data.count)).copy(bytes, 4 + name.length);
  return bytes;
}
