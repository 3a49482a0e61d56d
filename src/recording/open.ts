/** Opens a recording of either format, which its first bytes tell apart. */
import { closeSync, openSync, readSync } from 'node:fs'
import type { Tunable } from '../sample/source.ts'
import { fileError, UserError } from '../user_error.ts'
import { readMemberHeader, SIGNATURE } from './member.ts'
import { readRawRecording } from './raw.ts'
import { openRecordingFile } from './reader.ts'
import type { Recording } from './recording.ts'

type Looks = 'mmtop' | 'gzip' | 'json' | 'empty' | 'foreign'

/**
 * What a file looks like from its first bytes.
 * @throws UserError where it cannot be read
 */
export function sniff(file: string): Looks {
  const bytes = Buffer.alloc(64)
  let got = 0
  try {
    const fd = openSync(file, 'r')
    try {
      got = readSync(fd, bytes, 0, bytes.length, 0)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw fileError(error, file, 'read')
  }
  if (got === 0) return 'empty'
  if (readMemberHeader(bytes.subarray(0, got)) !== undefined) return 'mmtop'
  if (got >= 2 && bytes[0] === SIGNATURE[0] && bytes[1] === SIGNATURE[1]) return 'gzip'
  return bytes.subarray(0, got).toString('latin1').trimStart().startsWith('{') ? 'json' : 'foreign'
}

/**
 * @param known descriptions of knobs for raw recordings, which hold only their texts
 * @throws UserError with the place where the file is not a recording, or a damaged one
 */
export async function openRecording(file: string, known: readonly Tunable[] = []): Promise<Recording> {
  const looks = sniff(file)
  if (looks === 'mmtop') return openRecordingFile(file)
  if (looks === 'empty') throw new UserError('the file is empty', { file })
  if (looks === 'foreign') throw new UserError('not a recording', { file, line: 1, column: 1 })
  return readRawRecording(file, looks === 'gzip', known)
}
