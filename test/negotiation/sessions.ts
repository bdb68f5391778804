/** Sessions to be played in every split: recorded from foreign clients, and some by hand for the corners. */
import {
  ABORT,
  EXPORT_NAME,
  EXTENDED_HEADERS,
  GO,
  INFO,
  infoData,
  join,
  LIST,
  LIST_META_CONTEXT,
  metaData,
  option,
  optionHeader,
  SET_META_CONTEXT,
  STARTTLS,
  STRUCTURED_REPLY,
  text,
  u32,
} from './bytes.js';

export interface Session {
  readonly name: string;
  readonly input: Uint8Array;
  /** How it ends. */
  readonly ends: 'continue' | 'transmission' | 'close';
}

const IHAVEOPT = '49484156454f5054';

export const SESSIONS: readonly Session[] = [
  {
    name: 'nbdinfo --list of libnbd 1.14.2',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000${IHAVEOPT}0000000300000000` +
        `${IHAVEOPT}0000000600000010000000046469736b0003000300010002` +
        `${IHAVEOPT}0000000600000010000000047a7765690003000300010002${IHAVEOPT}0000000200000000`,
      'hex',
    ),
    ends: 'close',
  },
  {
    name: 'nbdinfo of libnbd 1.14.2, with its first request',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000${IHAVEOPT}0000000600000010000000047a7765690003000300010002` +
        `${IHAVEOPT}0000000700000010000000047a7765690003000300010002` +
        '25609513000000000000000000000001000000000000000000002000',
      'hex',
    ),
    ends: 'transmission',
  },
  {
    name: 'nbd-client -l of nbd-client 3.24',
    input: Buffer.from(`00000003${IHAVEOPT}0000000300000000${IHAVEOPT}0000000200000000`, 'hex'),
    ends: 'close',
  },
  {
    name: 'qemu-nbd -L of qemu 7.2',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000${IHAVEOPT}0000000300000000` +
        `${IHAVEOPT}000000060000000c000000046469736b00010003` +
        `${IHAVEOPT}000000060000000c000000047a77656900010003${IHAVEOPT}0000000200000000`,
      'hex',
    ),
    ends: 'close',
  },
  {
    name: 'qemu-img info of qemu 7.2, with its first request',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000${IHAVEOPT}000000070000000c000000046469736b00010003` +
        '25609513000000000000563e359e9e70000000000000000000000200',
      'hex',
    ),
    ends: 'transmission',
  },
  {
    name: 'nbdinfo of libnbd 1.14.2 that is granted structured replies',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000${IHAVEOPT}0000000600000010000000047a7765690003000300010002` +
        `${IHAVEOPT}000000090000000c000000047a77656900000000` +
        `${IHAVEOPT}0000000700000010000000047a7765690003000300010002` +
        '25609513000000000000000000000001000000000000000000000200',
      'hex',
    ),
    ends: 'transmission',
  },
  {
    name: 'nbdinfo --map of libnbd 1.14.2, with its first request',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000` +
        `${IHAVEOPT}0000000a0000001f000000047a776569000000010000000f626173653a616c6c6f636174696f6e` +
        `${IHAVEOPT}000000070000000c000000047a77656900010003` +
        '256095130000000700000000000000010000000000000000000f4400',
      'hex',
    ),
    ends: 'transmission',
  },
  {
    name: 'qemu-nbd -L of qemu 7.2 that is granted structured replies',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000${IHAVEOPT}0000000300000000` +
        `${IHAVEOPT}000000060000000c000000047a77656900010003` +
        `${IHAVEOPT}000000090000000c000000047a77656900000000` +
        `${IHAVEOPT}0000000900000015000000047a776569000000010000000571656d753a${IHAVEOPT}0000000200000000`,
      'hex',
    ),
    ends: 'close',
  },
  {
    name: 'qemu-img map of qemu 7.2, with its first request',
    input: Buffer.from(
      `00000003${IHAVEOPT}0000000800000000` +
        `${IHAVEOPT}0000000a0000001f000000047a776569000000010000000f626173653a616c6c6f636174696f6e` +
        `${IHAVEOPT}000000070000000c000000047a77656900010003` +
        '25609513000800070000564423a7d9d00000000000000000000f4400',
      'hex',
    ),
    ends: 'transmission',
  },
  {
    name: 'extended headers, every context, and GO with requests behind it',
    input: join(
      u32(3),
      option(EXTENDED_HEADERS),
      option(STRUCTURED_REPLY),
      option(LIST_META_CONTEXT, metaData('', 'base:', 'aionbd:')),
      option(SET_META_CONTEXT, metaData('', 'aionbd:changed', 'base:allocation', 'base:allocation')),
      option(INFO, infoData('', 3)),
      option(GO, infoData('', 3)),
      text('requests'),
    ),
    ends: 'transmission',
  },
  {
    name: 'every way to be refused structured replies and contexts, then GO without any',
    input: join(
      u32(3),
      option(SET_META_CONTEXT, metaData('disk', 'base:allocation')),
      option(STRUCTURED_REPLY, text('data')),
      option(EXTENDED_HEADERS, text('data')),
      option(STRUCTURED_REPLY),
      option(SET_META_CONTEXT, metaData('disk', 'base:allocation')),
      option(SET_META_CONTEXT, metaData('nowhere')),
      option(LIST_META_CONTEXT, metaData(Buffer.from([0xff]), '')),
      option(LIST_META_CONTEXT, metaData('disk', '', Buffer.from([0xff]), 'a\0b', 'x'.repeat(5000))),
      option(SET_META_CONTEXT, join(metaData('disk'), u32(0))),
      option(GO, infoData('disk')),
    ),
    ends: 'transmission',
  },
  {
    name: 'EXPORT_NAME after extended headers',
    input: join(u32(3), option(EXTENDED_HEADERS), option(EXPORT_NAME, text('disk')), text('requests')),
    ends: 'close',
  },
  {
    name: 'a context that never comes to its end',
    input: join(
      u32(3),
      option(STRUCTURED_REPLY),
      optionHeader(SET_META_CONTEXT, 31),
      metaData('disk', 'base:'),
    ),
    ends: 'continue',
  },
  {
    name: 'EXPORT_NAME with requests behind it',
    input: join(u32(1), option(EXPORT_NAME, text('zwei')), text('requests')),
    ends: 'transmission',
  },
  {
    name: 'EXPORT_NAME of the default export from a client of plain newstyle',
    input: join(u32(0), option(EXPORT_NAME)),
    ends: 'transmission',
  },
  {
    name: 'an ABORT with data, and more behind it',
    input: join(u32(3), option(ABORT, text('goodbye')), text('not looked at')),
    ends: 'close',
  },
  {
    name: 'every way to be refused, then GO',
    input: join(
      u32(3),
      option(STARTTLS),
      option(LIST, text('data')),
      option(77, text('unknown')),
      option(INFO, text('x')),
      option(INFO, infoData('nowhere')),
      option(INFO, infoData(Buffer.from([0xff]))),
      option(GO, infoData(Buffer.from([0x61, 0x00]))),
      option(GO, infoData('', 3, 3, 9)),
    ),
    ends: 'transmission',
  },
  {
    name: 'a long name and many information types',
    input: join(
      u32(3),
      option(INFO, infoData('long '.repeat(60), ...Array.from({ length: 50 }, (_, index) => index))),
      option(GO, infoData('zwei', 1)),
    ),
    ends: 'transmission',
  },
  { name: 'unknown client flags', input: join(u32(4), option(LIST)), ends: 'close' },
  {
    name: 'an option that does not begin with IHAVEOPT',
    input: join(u32(3), option(LIST), text('HELLO GOODBYE, AND')),
    ends: 'close',
  },
  { name: 'a header that claims 4 GiB', input: join(u32(3), optionHeader(77, 0xffffffff)), ends: 'close' },
  {
    name: 'an option that never comes to its end',
    input: join(u32(3), option(LIST), optionHeader(GO, 40), text('some of it')),
    ends: 'continue',
  },
];
