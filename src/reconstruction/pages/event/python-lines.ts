/** The same view in a notebook: lines that run as they are. */
import type { EventName } from './event-data.ts'
import type { ViewState } from './view-state.ts'
import type { Window } from './window-level.ts'

export function pythonOfEvent(name: EventName, view: Pick<ViewState, 'map' | 'inverted' | 'view'>, window: Window): string {
  const map = `${view.map}${view.inverted ? '_r' : ''}`
  return [
    'import cygnet, matplotlib.pyplot as plt',
    `run = cygnet.open("${name.experiment}").run("${name.series}:${name.number}")`,
    `image = run.image(${name.event}${view.view === 'subtracted' ? ', pedestal="auto"' : ''})`,
    `plt.imshow(image, vmin=${window.low}, vmax=${window.high}, cmap="${map}"); plt.colorbar(label="counts")`,
    `clusters = [c for c in run.clusters() if c["event"] == ${name.event}]`,
  ].join('\n')
}
