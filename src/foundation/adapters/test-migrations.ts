/** For tests of migrations: three steps of a small room, for the test and for the processes that it kills. */
import { sql } from 'kysely'
import type { AnyKysely, Migration } from '../database.ts'

export const migrationSteps: Record<string, Migration> = {
  '0001-notes': {
    async up(kysely: AnyKysely) {
      await sql`create table note (id text primary key, size_bytes bigint)`.execute(kysely)
    },
  },
  '0002-colour': {
    async up(kysely: AnyKysely) {
      await sql`alter table note add column colour text`.execute(kysely)
      await kysely.updateTable('note').set({ colour: 'white' }).execute()
    },
  },
  '0003-swans': {
    async up(kysely: AnyKysely) {
      await sql`create table swan (id text primary key, note text not null references note(id))`.execute(kysely)
      await sql`insert into swan select id, id from note`.execute(kysely)
    },
  },
}
