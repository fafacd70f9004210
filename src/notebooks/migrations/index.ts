import type { RoomMigrations } from '../../foundation/database.ts'
import { sessions } from './0001-sessions.ts'
import { results } from './0002-results.ts'

export const notebookMigrations: RoomMigrations = {
  room: 'notebooks',
  migrations: { '0001-sessions': sessions, '0002-results': results },
}
