/** The migrations of all rooms, ground floor first. */
import { computeMigrations } from '../compute/index.ts'
import type { RoomMigrations } from '../foundation/database.ts'
import { identityMigrations } from '../identity/index.ts'
import { ingestMigrations } from '../ingest/index.ts'
import { logbookMigrations } from '../logbook/index.ts'
import { notebookMigrations } from '../notebooks/index.ts'
import { reconstructionMigrations } from '../reconstruction/index.ts'
import { storageMigrations } from '../storage/index.ts'

export const roomMigrations: readonly RoomMigrations[] = [
  identityMigrations,
  storageMigrations,
  logbookMigrations,
  ingestMigrations,
  computeMigrations,
  reconstructionMigrations,
  notebookMigrations,
]
