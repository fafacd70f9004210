/** Pages about signing in, oneself and the people of an experiment. */
import type { PageSlot } from '../../foundation/browser.tsx'
import { t as accessWords } from './access-messages.ts'
import { t as auditWords } from './audit-messages.ts'
import { t as invitationWords } from './invitations-messages.ts'
import { t as joinWords } from './join-messages.ts'
import { t as instituteWords } from './institute-messages.ts'
import { t as entryWords } from './entry-messages.ts'
import { t as meWords } from './me-messages.ts'
import { t as groupWords } from './groups-messages.ts'
import { t } from './messages.ts'
import { t as providerWords } from './providers-messages.ts'

export const identityPages: PageSlot = {
  room: 'identity',
  routes: [
    { path: '/sign-in', title: entryWords('signIn.title'), open: true, load: () => import('./sign-in-page.tsx') },
    {
      path: '/institute',
      title: instituteWords('institute.title'),
      open: true,
      load: () => import('./institute-page.tsx'),
    },
    {
      path: '/site/identity-providers',
      title: providerWords('providers.title'),
      load: () => import('./providers-page.tsx'),
    },
    { path: '/join', title: joinWords('join.title'), open: true, load: () => import('./join-page.tsx') },
    {
      path: '/request-experiment',
      title: joinWords('ask.title'),
      open: true,
      load: () => import('./request-experiment-page.tsx'),
    },
    {
      path: '/e/:experiment/invitations',
      title: invitationWords('invite.nav'),
      load: () => import('./invitations-page.tsx'),
    },
    { path: '/site/requests', title: invitationWords('requests.title'), load: () => import('./requests-page.tsx') },
    { path: '/device', title: entryWords('device.title'), load: () => import('./device-page.tsx') },
    { path: '/me', title: meWords('me.title'), load: () => import('./me-page.tsx') },
    { path: '/e/:experiment/people', title: t('people.nav'), load: () => import('./people-page.tsx') },
    { path: '/e/:experiment/groups', title: groupWords('groups.nav'), load: () => import('./groups-page.tsx') },
    { path: '/site/audit', title: auditWords('audit.site'), load: () => import('./audit-page.tsx') },
    { path: '/e/:experiment/access', title: accessWords('access.nav'), load: () => import('./access-page.tsx') },
    { path: '/e/:experiment/audit', title: auditWords('audit.site'), load: () => import('./audit-page.tsx') },
  ],
  navigation: [
    { label: invitationWords('invite.nav'), path: '/e/:experiment/invitations', key: 'i', order: 91 },
    { label: t('people.nav'), path: '/e/:experiment/people', key: 'p', order: 90 },
    { label: groupWords('groups.nav'), path: '/e/:experiment/groups', key: 'u', order: 91 },
    { label: accessWords('access.nav'), path: '/e/:experiment/access', key: 'y', order: 92 },
  ],
  sitePages: [
    { label: invitationWords('requests.title'), path: '/site/requests', order: 10 },
    { label: providerWords('providers.title'), path: '/site/identity-providers', order: 20 },
    { label: auditWords('audit.site'), path: '/site/audit', order: 30 },
  ],
  overlays: [() => import('./terms-due.tsx'), () => import('./proof-dialog.tsx')],
  follows: ['identity.'],
}
