/**
 * One gzip member of a recording: the header that says where it begins, and data that is complete after every line.
 *
 * zlib's streaming interface is asynchronous in Node, and a recorder that is killed must not lose what it was given. So
 * each line is compressed by itself, synchronously, with the last 32 KiB of the member as its dictionary, and ended with
 * a sync flush: the pieces put together are one deflate stream, byte for byte as if one compressor had written it.
 *
 *     header(26)  piece  piece  piece ...  final empty block (03 00)  CRC32  length
 *                 ^ each ends at a byte boundary
 */
import { constants, crc32, deflateRawSync, gunzipSync } from 'node:zlib'

/** What all members begin with, and what a reader looks for (see format.md). */
export const SIGNATURE = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 20, 0, 0x4d, 0x54, 16, 0])
export const HEADER_BYTES = SIGNATURE.length + 16

const WINDOW_BYTES = 32 * 1024
const FINAL_BLOCK = Buffer.from([3, 0])
/** A member holds at most this much text; more is not a recording but an attack. */
const TEXT_LIMIT_BYTES = 256 * 1024 * 1024

/** Where a member begins. */
export interface MemberStart {
  readonly startNs: number
  readonly firstIndex: number
}

/** A member being written. */
export interface MemberDraft {
  window: Buffer
  crc: number
  textBytes: number
}

export function newMember(): MemberDraft {
  return { window: Buffer.alloc(0), crc: 0, textBytes: 0 }
}

export function memberHeader({ startNs, firstIndex }: MemberStart): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  SIGNATURE.copy(header)
  header.writeDoubleLE(startNs, SIGNATURE.length)
  header.writeDoubleLE(firstIndex, SIGNATURE.length + 8)
  return header
}

/** The header at `offset` of `bytes`, or undefined where there is none (or one that makes no sense). */
export function readMemberHeader(bytes: Buffer, offset = 0): MemberStart | undefined {
  if (bytes.length < offset + HEADER_BYTES || bytes.compare(SIGNATURE, 0, SIGNATURE.length, offset, offset + SIGNATURE.length) !== 0)
    return undefined
  const startNs = bytes.readDoubleLE(offset + SIGNATURE.length)
  const firstIndex = bytes.readDoubleLE(offset + SIGNATURE.length + 8)
  return Number.isSafeInteger(startNs) && Number.isSafeInteger(firstIndex) && startNs >= 0 && firstIndex >= 0
    ? { startNs, firstIndex }
    : undefined
}

/** The compressed bytes of one more line (with its newline). */
export function addText(member: MemberDraft, text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const dictionary = member.window.length > 0 ? { dictionary: member.window } : {}
  const piece = deflateRawSync(bytes, { ...dictionary, finishFlush: constants.Z_SYNC_FLUSH })
  const seen = Buffer.concat([member.window, bytes])
  member.window = seen.subarray(Math.max(0, seen.length - WINDOW_BYTES))
  member.crc = crc32(bytes, member.crc)
  member.textBytes += bytes.length
  return piece
}

/** What closes the member. */
export function endMember(member: MemberDraft): Buffer {
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(member.crc, 0)
  trailer.writeUInt32LE(member.textBytes % 2 ** 32, 4)
  return Buffer.concat([FINAL_BLOCK, trailer])
}

/**
 * The text of one member; of one that was cut, what is left of it.
 * @returns undefined where the bytes are no deflate data, their checksum is wrong, or they hold too much
 */
export function readMember(bytes: Buffer): string | undefined {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: TEXT_LIMIT_BYTES }).toString('utf8')
  } catch {
    return undefined
  }
}
