/** Pages of the reconstruction: the event display, tracks of a run, trends over runs. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const reconstructionPages: PageSlot = {
  room: 'reconstruction',
  routes: [
    {
      path: '/e/:experiment/runs/:series/:number/events/:event',
      title: t('event.short'),
      wide: true,
      load: () => import('./event/event-page.tsx'),
    },
    { path: '/e/:experiment/tracks', title: t('trend.title'), load: () => import('./trend-page.tsx') },
  ],
  navigation: [{ label: t('nav.tracks'), path: '/e/:experiment/tracks', key: 't', order: 30 }],
  runPanels: [{ id: 'tracks', title: t('tracks.panel'), order: 10, load: () => import('./tracks-panel.tsx') }],
  runColumns: [{ id: 'tracks', title: t('mark.title'), order: 10, load: () => import('./reconstruction-mark.tsx') }],
  homePanels: [
    { id: 'tracks', title: t('home.title'), order: 10, column: 'main', load: () => import('./home-panel.tsx') },
  ],
  follows: ['reconstruction.', 'logbook.run-closed', 'compute.'],
}
