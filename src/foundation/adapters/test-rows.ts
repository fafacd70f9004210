/** For tests: rows of every kind that a database may hold, in every table it has. */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { OpenedDatabase } from '../database.ts'
import { insertRows, type Row } from './copy-tables.ts'
import { tableShapes } from './table-shapes.ts'

const texts = [
  '',
  ' ',
  'plain',
  "it's; drop table",
  'back\\slash',
  'two\nlines\t',
  'é ß Ω 雪 🦢',
  '{"a":"\\u0000"}',
  'NULL',
  '\uffff',
]
const numbers = [0, 1, -1, 0.1, 1e300, -2.5e-310, 123_456_789.123_456_78, 2 ** 53]

/** Fills all tables of a SQLite database (which can tell what leans on what) with `rowsPerTable` rows each. */
export async function fillEveryTable(database: OpenedDatabase, rowsPerTable: number): Promise<void> {
  const { kysely } = database
  const made = new Map<string, Row[]>()
  for (const table of await tableShapes(database)) {
    if (table.name === 'migration') continue
    await kysely.deleteFrom(table.name).execute()
    const facts = await sql<{ name: string; notnull: number }>`
      select name, "notnull" from pragma_table_info(${table.name})`.execute(kysely)
    const mustBe = new Set(facts.rows.filter(({ notnull }) => notnull === 1).map(({ name }) => name))
    const references = await sql<{ from: string; to: string; other: string }>`
      select "from", "to", "table" as other from pragma_foreign_key_list(${table.name})`.execute(kysely)
    const rows = Array.from({ length: rowsPerTable }, (_, index): Row => {
      const row: Row = {}
      for (const [place, { name, type }] of table.columns.entries()) {
        const choice = index + place
        const reference = references.rows.find(({ from }) => from === name)
        if (reference !== undefined) row[name] = made.get(reference.other)![index % rowsPerTable]![reference.to]!
        else if (!mustBe.has(name) && !table.key.includes(name) && choice % 4 === 0) row[name] = null
        else if (type === 'text') row[name] = `${randomUUID()}${texts[choice % texts.length]}`
        else if (type === 'integer') row[name] = index - 20
        else if (type === 'bigint') row[name] = choice % 3 === 0 ? 2 ** 53 - 1 - index : index
        else row[name] = numbers[choice % numbers.length]!
      }
      return row
    })
    made.set(table.name, rows)
    await kysely.transaction().execute(async (trx) => await insertRows(trx, 'sqlite', table, rows))
  }
}

/** Everything a database holds, as one text. */
export async function dumpOf(database: OpenedDatabase): Promise<string> {
  const lines: string[] = []
  for (const { name, columns } of await tableShapes(database)) {
    const rows = (await database.kysely.selectFrom(name).selectAll().execute()) as Row[]
    lines.push(...rows.map((row) => `${name} ${JSON.stringify(columns.map((column) => row[column.name]))}`))
  }
  return lines.toSorted().join('\n')
}
