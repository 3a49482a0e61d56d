/**
 * A plot as a PNG file: its shapes drawn into a picture of palette colours, lines one or two pixels wide, text in a small built-in font.
 *
 * Source: the PNG specification (chunks IHDR, PLTE, IDAT, IEND; one byte a pixel, no filter).
 */
import { deflateSync } from 'node:zlib'
import { INK, type Plot, type Shape, shapesOf } from '../view/plot.ts'
import { GLYPH_HEIGHT, GLYPH_WIDTH, glyphOf } from './font.ts'

interface Picture {
  readonly width: number
  readonly height: number
  readonly pixels: Uint8Array
  /** Colours by number: 0 is white. */
  readonly palette: string[]
}

export function pngOf(plot: Plot): Buffer {
  const picture: Picture = {
    width: plot.width,
    height: plot.height,
    pixels: new Uint8Array(plot.width * plot.height),
    palette: ['#ffffff'],
  }
  for (const shape of shapesOf(plot)) draw(picture, shape)
  return encode(picture)
}

function colourNumber({ palette }: Picture, colour: string): number {
  const known = palette.indexOf(colour)
  return known >= 0 ? known : palette.push(colour) - 1
}

function dot({ width, height, pixels }: Picture, x: number, y: number, colour: number): void {
  if (x >= 0 && x < width && y >= 0 && y < height) pixels[y * width + x] = colour
}

function draw(picture: Picture, shape: Shape): void {
  if (shape.kind === 'text') return drawText(picture, shape)
  const colour = colourNumber(picture, shape.colour)
  if (shape.kind === 'line') {
    for (let i = 1; i < shape.points.length; i++) drawLine(picture, shape.points[i - 1], shape.points[i], colour, shape.dash)
    return
  }
  for (let y = Math.round(shape.y); y < shape.y + shape.height; y++)
    for (let x = Math.round(shape.x); x < shape.x + shape.width; x++) dot(picture, x, y, colour)
}

interface Point {
  readonly x: number
  readonly y: number
}

/** A dot a pixel of the longer way, but for the gaps of dashes. */
function drawLine(picture: Picture, from: Point, to: Point, colour: number, dash: readonly number[]): void {
  const steps = Math.max(1, Math.ceil(Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y))))
  const period = dash.reduce((a, b) => a + b, 0)
  for (let i = 0; i <= steps; i++) {
    if (period > 0 && inGap(dash, i % period)) continue
    const x = Math.round(from.x + ((to.x - from.x) * i) / steps)
    const y = Math.round(from.y + ((to.y - from.y) * i) / steps)
    dot(picture, x, y, colour)
  }
}

function inGap(dash: readonly number[], at: number): boolean {
  let end = 0
  for (let i = 0; i < dash.length; i++) {
    end += dash[i]
    if (at < end) return i % 2 === 1
  }
  return false
}

function drawText(picture: Picture, { x, y, text, anchor, turned }: Shape & { readonly kind: 'text' }): void {
  const colour = colourNumber(picture, INK)
  const length = text.length * (GLYPH_WIDTH + 1)
  const start = anchor === 'start' ? 0 : anchor === 'end' ? -length : -length / 2
  for (const [i, character] of [...text].entries())
    glyphOf(character).forEach((column, across) => {
      for (let down = 0; down < GLYPH_HEIGHT; down++) {
        if (((column >> down) & 1) === 0) continue
        const along = Math.round(start) + i * (GLYPH_WIDTH + 1) + across
        const above = down - GLYPH_HEIGHT
        if (turned) dot(picture, Math.round(x) + above, Math.round(y) - along, colour)
        else dot(picture, Math.round(x) + along, Math.round(y) + above, colour)
      }
    })
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const PALETTE_PIXELS = 3

function encode({ width, height, pixels, palette }: Picture): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head[8] = 8
  head[9] = PALETTE_PIXELS
  const rows = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1)
  const colours = Buffer.from(palette.map(colour => colour.slice(1)).join(''), 'hex')
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length, 0)
  body.copy(out, 4)
  out.writeUInt32BE(crc32(body), body.length + 4)
  return out
}

/** CRC-32 as ZIP has it. */
function crc32(data: Buffer): number {
  let crc = -1
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) !== 0 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}
