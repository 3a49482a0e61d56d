/**
 * The lines of a text file that may be gzipped, one after the other, within limits: a recording comes from anywhere, and
 * neither a line without end nor a gigabyte of zeros may take the machine's memory.
 */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { fileError, UserError } from '../user_error.ts'

const LINE_LIMIT_BYTES = 64 * 1024 * 1024
const TEXT_LIMIT_BYTES = 1024 * 1024 * 1024
const NEWLINE = 10

export interface TextLine {
  readonly text: string
  /** From 1. */
  readonly number: number
  /** Whether a newline ended it: the last line of a cut file has none. */
  readonly ended: boolean
}

/** @throws UserError where a line or the file is too long, or the compressed data is damaged or ends early */
export async function* textLines(file: string, gzipped: boolean): AsyncGenerator<TextLine> {
  let number = 1
  let parts: Buffer[] = []
  let partBytes = 0
  let totalBytes = 0
  try {
    for await (const chunk of chunksOf(file, gzipped)) {
      totalBytes += chunk.length
      if (totalBytes > TEXT_LIMIT_BYTES) throw new UserError('more than 1 GiB of text: too large to hold in memory', { file, line: number })
      let from = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        yield { text: Buffer.concat([...parts, chunk.subarray(from, end)]).toString('utf8'), number, ended: true }
        parts = []
        partBytes = 0
        from = end + 1
        number++
      }
      parts.push(chunk.subarray(from))
      partBytes += chunk.length - from
      if (partBytes > LINE_LIMIT_BYTES) throw new UserError('a line of more than 64 MiB', { file, line: number })
    }
  } catch (error) {
    throw readError(error, file, number)
  }
  if (partBytes > 0) yield { text: Buffer.concat(parts).toString('utf8'), number, ended: false }
}

async function* chunksOf(file: string, gzipped: boolean): AsyncGenerator<Buffer> {
  const raw = createReadStream(file, { highWaterMark: 256 * 1024 })
  const stream: Readable = gzipped ? raw.pipe(createGunzip()) : raw
  raw.on('error', error => stream.destroy(error))
  try {
    for await (const chunk of stream) if (Buffer.isBuffer(chunk)) yield chunk
  } finally {
    raw.destroy()
    stream.destroy()
  }
}

function readError(error: unknown, file: string, line: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'Z_BUF_ERROR') return new UserError('the file is cut: its compressed data ends in the middle', { file, line })
  if (typeof code === 'string' && code.startsWith('Z_')) return new UserError('the compressed data is damaged', { file, line })
  return fileError(error, file, 'read')
}
