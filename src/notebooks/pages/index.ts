/** Pages of notebook sessions. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const notebooksPages: PageSlot = {
  room: 'notebooks',
  routes: [
    { path: '/e/:experiment/sessions', title: t('sessions.title'), load: () => import('./sessions-page.tsx') },
    { path: '/e/:experiment/sessions/open', title: t('open.title'), load: () => import('./open-page.tsx') },
  ],
  navigation: [{ label: t('nav.sessions'), path: '/e/:experiment/sessions', key: 's', order: 60 }],
  runActions: [{ id: 'notebook', title: t('action.open'), order: 10, load: () => import('./open-action.tsx') }],
  resultActions: [{ id: 'notebook', order: 10, load: () => import('./open-results-action.tsx') }],
  homePanels: [
    { id: 'sessions', title: t('home.mine'), order: 30, column: 'side', load: () => import('./home-panel.tsx') },
  ],
  follows: ['notebooks.', 'compute.'],
}
