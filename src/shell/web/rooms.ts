/** All page slots, in the order of the floors. A new room's pages appear by adding one line here. */
import { computePages } from '../../compute/pages/index.ts'
import type { PageSlot } from '../../foundation/browser.tsx'
import { identityPages } from '../../identity/pages/index.ts'
import { ingestPages } from '../../ingest/pages/index.ts'
import { logbookPages } from '../../logbook/pages/index.ts'
import { notebooksPages } from '../../notebooks/pages/index.ts'
import { reconstructionPages } from '../../reconstruction/pages/index.ts'
import { storagePages } from '../../storage/pages/index.ts'
import { framePages } from './frame-pages.ts'

export const rooms: PageSlot[] = [
  identityPages,
  storagePages,
  logbookPages,
  ingestPages,
  computePages,
  reconstructionPages,
  notebooksPages,
  framePages,
]
