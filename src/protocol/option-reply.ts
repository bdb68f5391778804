/** What a server sends during the handshake, from meaning to bytes. */
import type { ByteWriter } from './byte-writer.js';
import {
  EXPORT_NAME_PADDING_BYTES,
  INFO_BLOCK_SIZE,
  INFO_BLOCK_SIZE_BYTES,
  INFO_DESCRIPTION,
  INFO_EXPORT,
  INFO_EXPORT_BYTES,
  INFO_NAME,
  INIT_MAGIC_HIGH,
  INIT_MAGIC_LOW,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  OPTION_REPLY_MAGIC_HIGH,
  OPTION_REPLY_MAGIC_LOW,
  REP_ACK,
  REP_INFO,
  REP_META_CONTEXT,
  REP_SERVER,
} from './constants.js';
import { encodeText } from './text.js';

export interface BlockSizes {
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  readonly maximumPayloadBytes: number;
}

// u64 NBDMAGIC · u64 IHAVEOPT · u16 handshake flags   (H1)

/** The server's first bytes. */
export function writeGreeting(output: ByteWriter, handshakeFlags: number): void {
  output.u32(INIT_MAGIC_HIGH);
  output.u32(INIT_MAGIC_LOW);
  output.u32(OPTION_MAGIC_HIGH);
  output.u32(OPTION_MAGIC_LOW);
  output.u16(handshakeFlags);
}

// u64 size · u16 transmission flags · 124 zeroes unless NO_ZEROES   (H3)

/** The answer to EXPORT_NAME, the only one without a reply header. */
export function writeExportNameReply(
  output: ByteWriter,
  sizeBytes: number,
  transmissionFlags: number,
  padded: boolean,
): void {
  output.u64(sizeBytes);
  output.u16(transmissionFlags);
  if (padded) output.zeroes(EXPORT_NAME_PADDING_BYTES);
}

/** The option is granted, or its list is complete. */
export function writeAck(output: ByteWriter, option: number): void {
  writeReplyHeader(output, option, REP_ACK, 0);
}

/** The option is refused with one of REP_ERR_*; the message is for a human at the client's end. */
export function writeError(output: ByteWriter, option: number, error: number, message: string): void {
  const text = encodeText(message);
  writeReplyHeader(output, option, error, text.length);
  output.bytes(text);
}

// u32 name length · name · rest of the data: text for a human   (H8)

/** One export of a list. */
export function writeServer(output: ByteWriter, option: number, name: string, description: string): void {
  const nameText = encodeText(name);
  const descriptionText = encodeText(description);
  writeReplyHeader(output, option, REP_SERVER, 4 + nameText.length + descriptionText.length);
  output.u32(nameText.length);
  output.bytes(nameText);
  output.bytes(descriptionText);
}

// u16 type · u64 size · u16 transmission flags   (H10)

/** What every successful INFO or GO says. */
export function writeInfoExport(
  output: ByteWriter,
  option: number,
  sizeBytes: number,
  transmissionFlags: number,
): void {
  writeReplyHeader(output, option, REP_INFO, INFO_EXPORT_BYTES);
  output.u16(INFO_EXPORT);
  output.u64(sizeBytes);
  output.u16(transmissionFlags);
}

/** The export's real name, which the client may have asked for by another. */
export function writeInfoName(output: ByteWriter, option: number, name: string): void {
  writeInfoText(output, option, INFO_NAME, name);
}

export function writeInfoDescription(output: ByteWriter, option: number, description: string): void {
  writeInfoText(output, option, INFO_DESCRIPTION, description);
}

// u16 type · u32 minimum · u32 preferred · u32 maximum payload   (H10)

export function writeInfoBlockSize(output: ByteWriter, option: number, sizes: BlockSizes): void {
  writeReplyHeader(output, option, REP_INFO, INFO_BLOCK_SIZE_BYTES);
  output.u16(INFO_BLOCK_SIZE);
  output.u32(sizes.minimumBlockBytes);
  output.u32(sizes.preferredBlockBytes);
  output.u32(sizes.maximumPayloadBytes);
}

// u32 context id · name   (H14, H15)

/** One meta context, listed (id 0) or selected. */
export function writeMetaContext(output: ByteWriter, option: number, id: number, name: string): void {
  const text = encodeText(name);
  writeReplyHeader(output, option, REP_META_CONTEXT, 4 + text.length);
  output.u32(id);
  output.bytes(text);
}

// u16 type · text

function writeInfoText(output: ByteWriter, option: number, type: number, text: string): void {
  const bytes = encodeText(text);
  writeReplyHeader(output, option, REP_INFO, 2 + bytes.length);
  output.u16(type);
  output.bytes(bytes);
}

// u64 magic · u32 option · u32 reply type · u32 data length

function writeReplyHeader(output: ByteWriter, option: number, type: number, dataBytes: number): void {
  output.u32(OPTION_REPLY_MAGIC_HIGH);
  output.u32(OPTION_REPLY_MAGIC_LOW);
  output.u32(option);
  output.u32(type);
  output.u32(dataBytes);
}
