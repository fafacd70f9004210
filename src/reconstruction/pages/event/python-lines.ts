/** The same view in a notebook: lines that run as they are. */
import type { EventName } from './event-data.ts'
import { startView } from './view-state.ts'
import type { ViewState } from './view-state.ts'
import type { Window } from './window-level.ts'

export function pythonOfEvent(
  name: EventName,
  view: Pick<ViewState, 'view' | 'camera' | 'campaign'>,
  window: Window,
): string {
  const camera = view.camera === 0 ? '' : `, camera=${view.camera}`
  // `show` draws counts as they were read out; limits chosen on a subtracted image would not fit them.
  const limits = view.view === 'raw' ? `, window=(${window.low}, ${window.high})` : ''
  const campaign = view.campaign === startView.campaign ? '' : `"${view.campaign}"`
  return [
    'import cygnet',
    `run = cygnet.open("${name.experiment}").run("${name.series}:${name.number}")`,
    `run.show(${name.event}${limits}${camera})`,
    `image = run.image(${name.event}${camera})`,
    `clusters = run.clusters(${campaign}).where(event=${name.event})`,
  ].join('\n')
}
