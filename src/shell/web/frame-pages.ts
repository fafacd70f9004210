/** Pages of the frame itself: where to go first, and how the platform is. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const framePages: PageSlot = {
  room: 'shell',
  routes: [
    { path: '/', title: t('home.title'), load: () => import('./start-page.tsx') },
    { path: '/status', title: t('status.title'), load: () => import('./status-page.tsx') },
  ],
  homePanels: [
    { id: 'disk', title: t('disk.title'), order: 90, column: 'side', load: () => import('./disk-panel.tsx') },
  ],
}
