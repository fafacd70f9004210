/** Pages about signing in, oneself and the people of an experiment. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export const identityPages: PageSlot = {
  room: 'identity',
  routes: [
    { path: '/sign-in', title: t('signIn.title'), open: true, load: () => import('./sign-in-page.tsx') },
    { path: '/device', title: t('device.title'), load: () => import('./device-page.tsx') },
    { path: '/me', title: t('me.title'), load: () => import('./me-page.tsx') },
    { path: '/e/:experiment/people', title: t('people.nav'), load: () => import('./people-page.tsx') },
  ],
  navigation: [{ label: t('people.nav'), path: '/e/:experiment/people', key: 'p', order: 90 }],
  follows: ['identity.'],
}
