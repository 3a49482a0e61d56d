/** A panel as plain text: what `snapshot` and batch mode print. The same figures as on screen, in full length. */
import type { Model } from '../../sample/model.ts'
import { drawPanel } from '../chart_text.ts'
import { plainLines } from '../layout.ts'
import type { PanelFunction, PanelUi } from '../panel.ts'
import { header } from '../panels/header.ts'

/** @param width columns; rows are as many as there are */
export function asText(panel: PanelFunction, model: Model, ui: PanelUi, width: number): string {
  const size = { width, height: Number.POSITIVE_INFINITY }
  const lines = [header(model, ui, { width, height: 3 }), panel(model, ui, size)].flatMap(part => plainLines(drawPanel(part, ui.ascii)))
  return lines.map(line => `${line}\n`).join('')
}
