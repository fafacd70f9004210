/** Pages of jobs: list, one job with its live log, panels for home and run. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const computePages: PageSlot = {
  room: 'compute',
  routes: [
    { path: '/e/:experiment/jobs', title: t('jobs.title'), load: () => import('./jobs-page.tsx') },
    { path: '/e/:experiment/jobs/:job', title: t('jobs.job'), load: () => import('./job-page.tsx') },
  ],
  navigation: [{ label: t('nav.jobs'), path: '/e/:experiment/jobs', key: 'j', order: 50 }],
  runPanels: [{ id: 'jobs', title: t('jobs.title'), order: 50, load: () => import('./run-jobs-panel.tsx') }],
  homePanels: [
    { id: 'queue', title: t('queue.title'), order: 20, column: 'side', load: () => import('./queue-panel.tsx') },
  ],
  follows: ['compute.', 'reconstruction.', 'notebooks.', 'logbook.run-closed'],
}
