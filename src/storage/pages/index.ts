/** Pages of storage: the data browser. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const storagePages: PageSlot = {
  room: 'storage',
  routes: [
    { path: '/e/:experiment/data', title: t('data.title'), load: () => import('./data-page.tsx') },
    { path: '/e/:experiment/data/:bucket', title: t('data.title'), load: () => import('./data-page.tsx') },
  ],
  navigation: [{ label: t('nav.data'), path: '/e/:experiment/data', key: 'd', order: 40 }],
  follows: ['storage.'],
}
