/** The screens in Ink: four regions, each a column of markers that the screen writer paints over. */
import { Box, Text, useStdin, useStdout } from 'ink'
import { type ReactNode, useEffect, useLayoutEffect, useRef, useSyncExternalStore } from 'react'
import type { Row } from '../view/panel.ts'
import { readKeys, readLate } from './keys.ts'
import { type Canvas, markers, setRows } from './paint.ts'
import { sizeOf } from './screen_writer.ts'
import type { Session } from './session.ts'
import type { Theme } from './theme.ts'

/** First row of each region on the canvas; no terminal has that many rows. */
const STATUS = 0
const TABS = 8
const FOOTER = 16
const BODY = 32

export interface AppProps {
  readonly session: Session
  readonly canvas: Canvas
  readonly theme: Theme
}

export function App({ session, canvas, theme }: AppProps): ReactNode {
  const screen = useSyncExternalStore(session.subscribe, session.screen)
  useKeys(session)
  useSize(session)
  const region = (first: number, rows: readonly Row[]) => <Region canvas={canvas} theme={theme} first={first} rows={rows} />
  return (
    <Box flexDirection="column" width={screen.size.width} height={screen.size.height}>
      {region(STATUS, screen.status)}
      {region(TABS, screen.tabs)}
      <Box flexGrow={1}>{region(BODY, screen.body)}</Box>
      {region(FOOTER, screen.footer)}
    </Box>
  )
}

interface RegionProps {
  readonly canvas: Canvas
  readonly theme: Theme
  readonly first: number
  readonly rows: readonly Row[]
}

function Region({ canvas, theme, first, rows }: RegionProps): ReactNode {
  useLayoutEffect(() => setRows(canvas, first, rows, theme), [canvas, theme, first, rows])
  return rows.length === 0 ? null : (
    <Box flexShrink={0}>
      <Text>{markers(first, rows.length)}</Text>
    </Box>
  )
}

/** How long the rest of a key may be under way before Escape is taken for itself. */
const LATE_MS = 25

/** Reads keys below Ink, whose own hook cannot tell some of them apart. */
function useKeys(session: Session): void {
  const { stdin } = useStdin()
  const rest = useRef('')
  useEffect(() => {
    let timer: NodeJS.Timeout | undefined
    const late = () => {
      const keys = readLate(rest.current)
      rest.current = ''
      session.keys(keys)
    }
    const heard = (chunk: string | Buffer) => {
      clearTimeout(timer)
      const read = readKeys(rest.current + String(chunk))
      rest.current = read.rest
      if (read.keys.length > 0) session.keys(read.keys)
      if (read.rest !== '') timer = setTimeout(late, LATE_MS)
    }
    stdin.setEncoding('utf8')
    stdin.on('data', heard)
    return () => {
      clearTimeout(timer)
      stdin.off('data', heard)
    }
  }, [stdin, session])
}

function useSize(session: Session): void {
  const { stdout } = useStdout()
  useEffect(() => {
    const resized = () => session.resize(sizeOf(stdout))
    stdout.on('resize', resized)
    return () => {
      stdout.off('resize', resized)
    }
  }, [stdout, session])
}
