/** The parts of blessed-contrib that are used, as they are used; the package types only its whole, and wrongly. */
declare module 'blessed-contrib/lib/widget/charts/line.js' {
  export interface LineOptions {
    /** A widget asks its screen for nothing but this. */
    readonly screen: { readonly type: 'screen'; setEffects(): void }
    readonly width: number
    readonly height: number
    readonly minY: number
    readonly maxY: number
    readonly numYLabels: number
    readonly wholeNumbersOnly: boolean
    readonly xPadding: number
    readonly xLabelPadding: number
    readonly showLegend: boolean
    /** Numbers of the 256 colours. */
    readonly style: { readonly line: number; readonly text: number; readonly baseline: number }
  }
  export interface LineSeries {
    readonly title: string
    readonly x: readonly string[]
    readonly y: readonly number[]
    readonly style: { readonly line: number }
  }
  export interface Context {
    readonly _canvas: {
      /** In dots. */
      readonly width: number
      readonly height: number
      /** By character: its dots, their colour, and what is written in its place. */
      readonly content: Buffer
      readonly colors: (number | null)[]
      readonly chars: (string | null)[]
      /** Of the stroke. */
      readonly color: number
      set(x: number, y: number): void
    }
    _currentPath: { readonly point: readonly [number, number]; readonly stroke: boolean }[]
    strokeStyle: number
    fillStyle: number
    clearRect(x: number, y: number, width: number, height: number): void
    fillText(text: string, x: number, y: number): void
    beginPath(): void
    moveTo(x: number, y: number): void
    lineTo(x: number, y: number): void
    stroke(): void
  }
  export interface LineWidget {
    readonly ctx: Context
    /** 'attach' makes the canvas. */
    emit(event: 'attach'): void
    setData(series: readonly LineSeries[]): void
  }
  export default function line(options: LineOptions): LineWidget
}
