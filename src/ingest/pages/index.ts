/** What ingest shows: the agents, on home. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const ingestPages: PageSlot = {
  room: 'ingest',
  routes: [],
  homePanels: [
    { id: 'agents', title: t('agents.title'), order: 10, column: 'side', load: () => import('./agents-panel.tsx') },
  ],
  follows: ['ingest.', 'logbook.'],
}
