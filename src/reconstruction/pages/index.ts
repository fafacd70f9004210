/** Pages of the reconstruction: the event display, tracks of a run, results over runs. */
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
    { path: '/e/:experiment/results', title: t('results.title'), load: () => import('./results/results-page.tsx') },
    {
      path: '/e/:experiment/campaigns',
      title: t('campaigns.title'),
      load: () => import('./campaigns/campaigns-page.tsx'),
    },
    {
      path: '/e/:experiment/campaigns/:campaign',
      title: t('campaigns.title'),
      load: () => import('./campaigns/campaign-page.tsx'),
    },
    {
      path: '/e/:experiment/campaigns/:campaign/compare',
      title: t('compare.title'),
      load: () => import('./campaigns/compare-page.tsx'),
    },
    {
      path: '/e/:experiment/validation',
      title: t('validation.title'),
      load: () => import('./validation/validation-page.tsx'),
    },
    { path: '/e/:experiment/tracks', title: t('results.title'), load: () => import('./results/old-address.tsx') },
  ],
  navigation: [
    { label: t('nav.results'), path: '/e/:experiment/results', key: 't', order: 30 },
    { label: t('nav.campaigns'), path: '/e/:experiment/campaigns', key: 'c', order: 32 },
    { label: t('nav.validation'), path: '/e/:experiment/validation', key: 'v', order: 34 },
  ],
  runPanels: [{ id: 'tracks', title: t('tracks.panel'), order: 10, load: () => import('./tracks-panel.tsx') }],
  runColumns: [{ id: 'tracks', title: t('mark.title'), order: 10, load: () => import('./reconstruction-mark.tsx') }],
  homePanels: [
    { id: 'tracks', title: t('home.title'), order: 10, column: 'main', load: () => import('./home-panel.tsx') },
  ],
  follows: ['reconstruction.', 'logbook.run-closed', 'compute.'],
}
