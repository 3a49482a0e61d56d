/** The screens in Ink: four regions, each a column of markers that the screen writer paints over. */
import { Box, Text, useStdin } from 'ink'
import { type ReactNode, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import { readKeys, readLate } from './keys.ts'
import { type Canvas, MARKER_WIDTH, markers, setRows } from './paint.ts'
import type { Session } from './session.ts'
import type { Theme, ThemeName } from './theme.ts'

/** First row of each region on the canvas; no terminal has that many rows. */
const STATUS = 0
const TABS = 8
const FOOTER = 16
const BODY = 32

export interface AppProps {
  readonly session: Session
  readonly canvas: Canvas
  readonly themes: (name: ThemeName) => Theme
}

/** All that Ink draws. It depends on nothing but heights, so a new sample makes no work for Ink. */
export function App({ session, canvas, themes }: AppProps): ReactNode {
  const layoutNow = useMemo(() => layoutOf(session), [session])
  const { height, status, tabs, body, footer } = useSyncExternalStore(session.subscribe, layoutNow)
  usePainting(session, canvas, themes)
  useKeys(session)
  return (
    <Box flexDirection="column" width={MARKER_WIDTH} height={height}>
      <Region first={STATUS} count={status} />
      <Region first={TABS} count={tabs} />
      <Box flexGrow={1}>
        <Region first={BODY} count={body} />
      </Box>
      <Region first={FOOTER} count={footer} />
    </Box>
  )
}

/** The screen's height, how many rows each region has, and all of that in a word. */
interface Layout {
  readonly key: string
  readonly height: number
  readonly status: number
  readonly tabs: number
  readonly body: number
  readonly footer: number
}

/** Gives the same value as long as the layout is the same. */
function layoutOf(session: Session): () => Layout {
  let last: Layout | undefined
  return () => {
    const { size, status, tabs, body, footer } = session.screen()
    const lengths = { status: status.length, tabs: tabs.length, body: body.length, footer: footer.length }
    const key = [size.height, ...Object.values(lengths)].join(' ')
    if (last?.key !== key) last = { height: size.height, ...lengths, key }
    return last
  }
}

/** Puts every new screen on the canvas. It is told after Ink's own hook, so a new layout is there before its rows are. */
function usePainting(session: Session, canvas: Canvas, themes: AppProps['themes']): void {
  useEffect(() => {
    const paint = () => {
      const { status, tabs, body, footer } = session.screen()
      const theme = themes(session.theme())
      setRows(canvas, STATUS, status, theme)
      setRows(canvas, TABS, tabs, theme)
      setRows(canvas, BODY, body, theme)
      setRows(canvas, FOOTER, footer, theme)
    }
    paint()
    return session.subscribe(paint)
  }, [session, canvas, themes])
}

const Region = ({ first, count }: { readonly first: number; readonly count: number }) =>
  count === 0 ? null : (
    <Box flexShrink={0}>
      <Text>{markers(first, count)}</Text>
    </Box>
  )

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
