/** The logbook's pages: home, runs, a run. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const logbookPages: PageSlot = {
  room: 'logbook',
  routes: [
    { path: '/e/:experiment', title: t('nav.home'), load: () => import('./home-page.tsx') },
    { path: '/e/:experiment/runs', title: t('runs.title'), load: () => import('./runs-page.tsx') },
    { path: '/e/:experiment/runs/:run', title: t('column.run'), load: () => import('./run-redirect.tsx') },
    { path: '/e/:experiment/runs/:series/:number', title: t('column.run'), load: () => import('./run-page.tsx') },
  ],
  navigation: [
    { label: t('nav.home'), path: '/e/:experiment', key: 'h', order: 10 },
    { label: t('nav.runs'), path: '/e/:experiment/runs', key: 'r', order: 20 },
  ],
  runPanels: [
    { id: 'notes', title: t('notes.title'), order: 60, load: () => import('./notes-panel.tsx') },
    { id: 'conditions', title: t('conditions.title'), order: 70, load: () => import('./conditions-panel.tsx') },
  ],
  follows: ['logbook.', 'ingest.'],
}
