import type { RoomMigrations } from '../../foundation/database.ts'
import { jobs } from './0001-jobs.ts'

export const computeMigrations: RoomMigrations = { room: 'compute', migrations: { '0001-jobs': jobs } }
